#include "base/mountinfo.h"
#include "base/str.h"

#include <string.h>

enum { ID, PARENT, DEVICE, ROOT, POINT, FLAGS, FIELDS };
enum { TYPE, SOURCE, OPTIONS, SUPER_FIELDS };

/* "\040" -> ' ', in place; the kernel writes what would end a field or line so. */
static char *unescape(char *s)
{
	char *to = s, *from = s;

	for (; *from; from++) {
		if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] >= '0' && from[2] <= '7' && from[3] >= '0' &&
		    from[3] <= '7') {
			*to++ = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
			from += 3;
		} else {
			*to++ = *from;
		}
	}
	*to = '\0';
	return s;
}

/* A field may be empty: the source of some mounts is. */
static bool cut(char *text, char **fields, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fields[i] = strsep(&text, " ");
	return fields[n - 1];
}

bool mountinfo_parse(char *line, struct mount_line *out)
{
	char *fields[FIELDS], *super[SUPER_FIELDS], *rest = strstr(line, " - ");
	struct err ignored;

	if (!rest)
		return false;
	*rest = '\0';
	if (!cut(line, fields, FIELDS) || !cut(rest + 3, super, SUPER_FIELDS))
		return false;
	if (parse_u32(fields[ID], &out->id, &ignored) < 0 || parse_u32(fields[PARENT], &out->parent, &ignored) < 0)
		return false;
	out->root = unescape(fields[ROOT]);
	out->point = unescape(fields[POINT]);
	out->type = super[TYPE];
	out->options = super[OPTIONS];
	return true;
}
