/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secagreectl top: what the daemon does now, again each second, until q is typed.
 *
 * On a terminal it has a screen of its own, and a daemon that goes away is waited for. The terminal
 * is put back whatever ends the program, by the handlers of signals themselves: a look at the
 * daemon may last, and nobody should wait for it. No curses: home, clear to the end of the line, no
 * wrapping and the other screen are all that it needs, and xterm and all that came after have them.
 *
 * Anywhere else, or with --once, it prints one frame and ends: two looks, one interval apart.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "daemon/ctl/top.h"

#define INTERVAL_S   1
#define MAX_INTERVAL 3600

/* Lines of a frame that are not rows of its parts: the head, and titles with an empty line above. */
#define OTHER_LINES 12
#define PARTS       4

/* ECMA-48 and DEC private modes: the other screen, no cursor, no wrapping; and back. */
#define ENTER "\033[?1049h\033[?25l\033[?7l"
#define LEAVE "\033[?7h\033[?25h\033[?1049l"

/* ---- the terminal; everything here may run in a signal handler ---- */

static struct {
	bool has_keys; /* standard input is a terminal too */
	struct termios before;
	sigset_t waiting; /* blocked signals while it waits */
} screen;

static void put(const char *text, size_t n)
{
	if (write(STDOUT_FILENO, text, n) < 0)
		return;
}

static void enter_screen(void)
{
	struct termios keys = screen.before;

	keys.c_lflag &= (tcflag_t) ~(ICANON | ECHO);
	keys.c_cc[VMIN] = 0;
	keys.c_cc[VTIME] = 0;
	if (screen.has_keys)
		tcsetattr(STDIN_FILENO, TCSANOW, &keys);
	put(ENTER, sizeof(ENTER) - 1);
}

static void leave_screen(void)
{
	put(LEAVE, sizeof(LEAVE) - 1);
	if (screen.has_keys)
		tcsetattr(STDIN_FILENO, TCSANOW, &screen.before);
}

static void on_end(int signal_number)
{
	leave_screen();
	signal(signal_number, SIG_DFL);
	raise(signal_number); /* is delivered when this returns */
}

static void on_stop(int signal_number)
{
	const int error = errno;

	(void)signal_number;
	leave_screen();
	raise(SIGSTOP);
	enter_screen();
	raise(SIGWINCH); /* draw at once */
	errno = error;
}

/* It only ends the wait for the next frame: it is blocked but then, so that none is lost. */
static void on_resize(int signal_number)
{
	(void)signal_number;
}

static void catch_signals(void)
{
	static const struct {
		int number;
		void (*handler)(int);
	} SIGNALS[] = {
		{SIGINT, on_end},   {SIGTERM, on_end},  {SIGHUP, on_end},
		{SIGQUIT, on_end},  {SIGTSTP, on_stop}, {SIGWINCH, on_resize},
	};
	sigset_t resized;

	for (size_t i = 0; i < sizeof(SIGNALS) / sizeof(SIGNALS[0]); i++) {
		struct sigaction action = {.sa_handler = SIGNALS[i].handler};

		sigfillset(&action.sa_mask);
		sigaction(SIGNALS[i].number, &action, NULL);
	}
	sigemptyset(&resized);
	sigaddset(&resized, SIGWINCH);
	sigprocmask(SIG_BLOCK, &resized, &screen.waiting);
}

/* ---- frames ---- */

static bool is_screen(void)
{
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0;
}

static size_t rows_of_screen(void)
{
	struct winsize size;

	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 2 ? size.ws_row : 24;
}

/* @text line by line over what is on the screen, as much as it holds. */
static void draw(const char *text, size_t rows)
{
	char *drawn = NULL;
	size_t n;
	FILE *f = open_memstream(&drawn, &n);

	if (!f)
		return;
	fputs("\033[H", f);
	for (size_t row = 0; *text && row + 1 < rows; row++) {
		const size_t length = strcspn(text, "\n");

		fprintf(f, "%.*s\033[K\n", (int)length, text);
		text += length + (text[length] == '\n');
	}
	fputs("\033[J", f);
	if (fclose(f) == 0)
		put(drawn, n);
	free(drawn);
}

static void draw_frame(const struct top *top, size_t rows)
{
	json_t *frame = top_frame(top);
	const size_t room = rows > OTHER_LINES ? rows - OTHER_LINES : 0;
	size_t each = room / PARTS;
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	each = each < 1 ? 1 : each > TOP_ROWS ? TOP_ROWS : each;
	if (f && frame)
		top_print(f, frame, each);
	if (f && fclose(f) == 0 && frame)
		draw(text, rows);
	free(text);
	json_decref(frame);
}

static void draw_trouble(const struct top *top, size_t rows)
{
	char text[3 * CTL_WHY_BYTES];

	snprintf(text, sizeof(text), "%s\n\nTrying again; q ends this.\n", top->why);
	draw(text, rows);
}

/* Until the time is over, the screen has another size, or a key is there: is it q? */
static bool is_over(unsigned interval_s)
{
	struct pollfd keys = {.fd = screen.has_keys ? STDIN_FILENO : -1, .events = POLLIN};
	const struct timespec time = {.tv_sec = interval_s};
	char key = 0;

	if (ppoll(&keys, 1, &time, &screen.waiting) <= 0)
		return false;
	if (read(STDIN_FILENO, &key, 1) <= 0)
		return keys.revents & POLLHUP;
	return key == 'q' || key == 'Q' || key == 4; /* end of file, as typed */
}

static void follow(struct top *top, unsigned interval_s)
{
	screen.has_keys = tcgetattr(STDIN_FILENO, &screen.before) == 0;
	catch_signals();
	enter_screen();
	do {
		if (top_look(top) == 0)
			draw_frame(top, rows_of_screen());
		else
			draw_trouble(top, rows_of_screen());
	} while (!is_over(interval_s));
	leave_screen();
}

/* One frame, of two looks. */
static int print_once(const struct ctl *ctl, struct top *top, unsigned interval_s)
{
	const struct timespec interval = {.tv_sec = interval_s};
	json_t *frame;

	if (top_look(top) < 0 || (nanosleep(&interval, NULL) < 0 && errno != EINTR) ||
	    top_look(top) < 0)
		return output_failure(ctl, CTL_UNREACHABLE, "unreachable", top->why);
	frame = top_frame(top);
	if (ctl->json || !frame)
		return output_json(frame, CTL_YES);
	top_print(stdout, frame, TOP_ROWS);
	json_decref(frame);
	return CTL_YES;
}

static int run(const struct ctl *ctl, const struct ctl_command *command, const json_t *args)
{
	const json_t *given = json_object_get(args, "interval");
	const json_int_t interval_s = given ? json_integer_value(given) : INTERVAL_S;
	struct top top = {.socket_path = ctl->socket_path, .event_last = -1,
			  .failures = json_array(), .shown = json_array()};
	int status = CTL_YES;

	(void)command;
	if (interval_s < 1 || interval_s > MAX_INTERVAL) {
		snprintf(top.why, sizeof(top.why), "--interval wants 1 to %d seconds",
			 MAX_INTERVAL);
		status = output_usage(ctl, top.why);
	} else if (ctl->json || json_object_get(args, "once") || !is_screen()) {
		status = print_once(ctl, &top, (unsigned)interval_s);
	} else {
		follow(&top, (unsigned)interval_s);
	}
	top_close(&top);
	json_decref(top.failures);
	json_decref(top.shown);
	return status;
}

static const struct ctl_option options[] = {
	{"interval", CTL_NUMBER, CTL_LOCAL, "SECONDS", "between two looks (default: 1)"},
	{"once", CTL_FLAG, CTL_LOCAL, NULL, "print one frame; so it does where there is no terminal"},
	{0},
};

const struct ctl_command ctl_top = {
	.name = "top",
	.run = run,
	.help = "sets, rates, failures and the busiest phones, again each second",
	.method = "daemon.stats",
	.options = options,
	.more = "q ends it. What it costs the daemon does not grow with the number of phones.",
};
