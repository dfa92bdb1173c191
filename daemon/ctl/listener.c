/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The listener that a question is about: one of a configuration file, which is read whole and
 * checked as the daemon does it, or the defaults of all. This is how an operator tries
 * a configuration before any daemon has it; no daemon is asked and nothing of it is changed.
 */
#include <string.h>

#include "daemon/config.h"
#include "daemon/ctl/ctl.h"

static const struct config_listener *find_listener(const struct config *config, const char *name)
{
	if (!name)
		return config->listener_count ? &config->listeners[0] : NULL;
	for (size_t i = 0; i < config->listener_count; i++)
		if (strcmp(config->listeners[i].name, name) == 0)
			return &config->listeners[i];
	return NULL;
}

int listener_read(const struct ctl *ctl, const json_t *args, struct config_listener *ret)
{
	const char *path = options_text(args, "config");
	const char *name = options_text(args, "listener");
	const struct config_listener *listener;
	struct config config;
	char why[CTL_WHY_BYTES];

	if (name && !path)
		return output_usage(ctl, "--listener wants --config FILE too");
	if (!path) {
		config_listener_default(ret);
		return CTL_YES;
	}
	if (config_read(path, &config, why, sizeof(why)) < 0)
		return output_error("bad_config", why, -1);
	listener = find_listener(&config, name);
	if (!listener)
		return output_error("unknown_listener",
				    name ? "the configuration has no listener of this name"
					 : "the configuration has no listener",
				    -1);
	*ret = *listener;
	return CTL_YES;
}
