# SPDX-License-Identifier: BSD-2-Clause
# Completion of secagreectl in bash: the program itself says what may come next.

_secagreectl()
{
	local line=${COMP_LINE:0:COMP_POINT} breaks= sign word begin candidate description
	local -a words

	read -ra words <<<"$line"
	[[ $line == *[[:space:]] ]] && words+=("")
	word=${words[-1]}
	# readline puts an answer in the place of what stands behind the last of these, but takes
	# an @ for the first character of a host
	for sign in = : @; do
		[[ $COMP_WORDBREAKS == *$sign* ]] && breaks+=$sign
	done
	begin=
	[[ $breaks ]] && begin=${word%"${word##*[$breaks]}"}
	begin=${begin%@}
	COMPREPLY=()
	while IFS=$'\t' read -r candidate description; do
		if [[ $candidate == :files ]]; then
			compopt -o filenames
			mapfile -t COMPREPLY < <(compgen -f -- "${word#"$begin"}")
		else
			COMPREPLY+=("${candidate#"$begin"}")
		fi
	done < <("${words[0]}" complete -- "${words[@]:1}" 2>/dev/null)
}

complete -F _secagreectl secagreectl
