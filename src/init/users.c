#include "init/users.h"
#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define USERS_FILE_MAX (10u << 20) /* bytes of passwd or group */
#define ID_MAX         4294967294u /* 4294967295 is "no change" to the kernel */

/* The text of a file of the image, or NULL when it is missing or not a regular file of sane size. */
static char *read_image_file(int root, const char *name, struct arena *a)
{
	struct err ignored;
	struct stat st;
	/* Looked at before it is opened: to open a device can be to use it. */
	auto_fd int seen = path_open_in(root, name, O_PATH, &ignored);

	if (seen < 0 || fstat(seen, &st) < 0 || !S_ISREG(st.st_mode))
		return NULL;
	auto_fd int fd = path_open_in(root, name, O_RDONLY | O_NONBLOCK | O_NOCTTY, &ignored);

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > USERS_FILE_MAX)
		return NULL;
	char *text = arena_alloc(a, (size_t)st.st_size + 1);
	size_t have = 0;

	while (have < (size_t)st.st_size) {
		ssize_t n = read(fd, text + have, (size_t)st.st_size - have);

		if (n <= 0)
			break;
		have += (size_t)n;
	}
	text[have] = '\0';
	return text;
}

/* Splits the next line at *p into up to n fields at ':'; missing ones are "". Returns false at the end. */
static bool next_entry(char **p, char **field, size_t n)
{
	static char none[1];

	if (!**p)
		return false;
	char *line = *p, *end = line + strcspn(line, "\n");

	*p = end + (*end == '\n');
	*end = '\0';
	for (size_t i = 0; i < n; i++) {
		field[i] = line ? line : none;
		char *colon = line ? strchr(line, ':') : NULL;

		if (colon)
			*colon = '\0';
		line = colon ? colon + 1 : NULL;
	}
	return true;
}

static bool parse_id(const char *s, uint32_t *out)
{
	struct err ignored;

	return parse_u32(s, out, &ignored) == 0 && *out <= ID_MAX;
}

const char *user_home(int root, uint32_t uid, struct arena *a)
{
	char *p = read_image_file(root, "/etc/passwd", a), *field[6];
	uint32_t id;

	while (p && next_entry(&p, field, 6))
		if (parse_id(field[2], &id) && id == uid && field[5][0] == '/')
			return arena_strdup(a, field[5]);
	return "/";
}

/* Finds `name` (or, in passwd, the number) in a file of NAME:x:ID:... lines. second receives field 3 as a number. */
static bool find_entry(char *text, const char *name, const uint32_t *number, uint32_t *id, uint32_t *second)
{
	char *field[4];
	uint32_t group;

	while (text && next_entry(&text, field, 4)) {
		if (!parse_id(field[2], id))
			continue;
		if (name ? strcmp(field[0], name) != 0 : *id != *number)
			continue;
		/* An entry with a malformed group is no entry: its user must not become one of group 0. */
		if (second && !parse_id(field[3], &group))
			continue;
		if (second)
			*second = group;
		return true;
	}
	return false;
}

static int resolve_user(int root, const char *name, struct arena *a, uint32_t *uid, uint32_t *gid, struct err *e)
{
	uint32_t id;
	char *passwd = read_image_file(root, "/etc/passwd", a);

	if (name[0] && name[strspn(name, "0123456789")] == '\0') {
		if (!parse_id(name, uid))
			return err_set(e, EINVAL, "user \"%s\" is out of range", name);
		(void)find_entry(passwd, NULL, uid, &id, gid);
		return 0;
	}
	if (!name[0] || !find_entry(passwd, name, NULL, uid, gid))
		return err_set(e, EINVAL, "no user \"%.80s\" in the container's /etc/passwd", name);
	return 0;
}

int user_resolve(int root, const char *user, uint32_t *uid, uint32_t *gid, struct err *e)
{
	auto_arena struct arena a = { 0 };
	size_t len = strcspn(user, ":");
	const char *name = arena_strndup(&a, user, len), *group = user[len] ? user + len + 1 : NULL;
	int r = resolve_user(root, name, &a, uid, gid, e);

	if (r < 0 || !group)
		return r;
	if (parse_id(group, gid))
		return 0;
	if (!group[0] || group[strspn(group, "0123456789")] == '\0')
		return err_set(e, EINVAL, "group \"%.80s\" is out of range", group);
	if (!find_entry(read_image_file(root, "/etc/group", &a), group, NULL, gid, NULL))
		return err_set(e, EINVAL, "no group \"%.80s\" in the container's /etc/group", group);
	return 0;
}
