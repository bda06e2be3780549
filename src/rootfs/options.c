/* options.c - the words of mounts[].options
 *
 * One sorted table gives every word its effect; `features` lists the same table. A word that is not in it is a parameter of the
 * file system and goes to fsconfig(2) as it is, except on a bind mount, which has no parameters. Later words win over earlier ones.
 */
#include "base/str.h"
#include "rootfs/internal.h"

#include <errno.h>
#include <string.h>

enum effect {
	NOTHING, /* accepted for compatibility, nothing to do for a kernel of today */
	SET,     /* attribute of this mount                                          */
	CLEAR,
	ATIME, /* value of the three-way access time field                         */
	RO,    /* attribute and, for new instances, superblock                     */
	RW,
	R_SET, /* the same, recursively                                            */
	R_CLEAR,
	R_ATIME,
	SB,   /* superblock flag, by the same name; a bind has none               */
	PROP, /* propagation                                                      */
	BIND,
	RBIND,
	REMOUNT,
	COPY_UP,
	COPY_SYMLINK,
	SRC_NOFOLLOW,
	DEST_NOFOLLOW,
	IDMAP,
	RIDMAP,
};

/* Sorted as by strcmp(). */
/* clang-format off: a table */
#define WORDS(W)                                                                                                                   \
	W("async", SB, 0)                                                                                                          \
	W("atime", ATIME, SYS_MOUNT_ATTR_RELATIME)                                                                                 \
	W("bind", BIND, 0)                                                                                                         \
	W("copy-symlink", COPY_SYMLINK, 0)                                                                                         \
	W("defaults", NOTHING, 0)                                                                                                  \
	W("dest-nofollow", DEST_NOFOLLOW, 0)                                                                                       \
	W("dev", CLEAR, SYS_MOUNT_ATTR_NODEV)                                                                                      \
	W("diratime", CLEAR, SYS_MOUNT_ATTR_NODIRATIME)                                                                            \
	W("dirsync", SB, 0)                                                                                                        \
	W("exec", CLEAR, SYS_MOUNT_ATTR_NOEXEC)                                                                                    \
	W("idmap", IDMAP, 0)                                                                                                       \
	W("iversion", NOTHING, 0)                                                                                                  \
	W("lazytime", SB, 0)                                                                                                       \
	W("loud", NOTHING, 0)                                                                                                      \
	W("mand", SB, 0)                                                                                                           \
	W("noatime", ATIME, SYS_MOUNT_ATTR_NOATIME)                                                                                \
	W("nodev", SET, SYS_MOUNT_ATTR_NODEV)                                                                                      \
	W("nodiratime", SET, SYS_MOUNT_ATTR_NODIRATIME)                                                                            \
	W("noexec", SET, SYS_MOUNT_ATTR_NOEXEC)                                                                                    \
	W("noiversion", NOTHING, 0)                                                                                                \
	W("nolazytime", SB, 0)                                                                                                     \
	W("nomand", SB, 0)                                                                                                         \
	W("norelatime", NOTHING, 0)                                                                                                \
	W("nostrictatime", ATIME, SYS_MOUNT_ATTR_RELATIME)                                                                         \
	W("nosuid", SET, SYS_MOUNT_ATTR_NOSUID)                                                                                    \
	W("nosymfollow", SET, SYS_MOUNT_ATTR_NOSYMFOLLOW)                                                                          \
	W("private", PROP, MS_PRIVATE)                                                                                             \
	W("rasync", SB, 0)                                                                                                         \
	W("ratime", R_ATIME, SYS_MOUNT_ATTR_RELATIME)                                                                              \
	W("rbind", RBIND, 0)                                                                                                       \
	W("rdev", R_CLEAR, SYS_MOUNT_ATTR_NODEV)                                                                                   \
	W("rdiratime", R_CLEAR, SYS_MOUNT_ATTR_NODIRATIME)                                                                         \
	W("rdirsync", SB, 0)                                                                                                       \
	W("relatime", ATIME, SYS_MOUNT_ATTR_RELATIME)                                                                              \
	W("remount", REMOUNT, 0)                                                                                                   \
	W("rexec", R_CLEAR, SYS_MOUNT_ATTR_NOEXEC)                                                                                 \
	W("ridmap", RIDMAP, 0)                                                                                                     \
	W("rmand", SB, 0)                                                                                                          \
	W("rnoatime", R_ATIME, SYS_MOUNT_ATTR_NOATIME)                                                                             \
	W("rnodev", R_SET, SYS_MOUNT_ATTR_NODEV)                                                                                   \
	W("rnodiratime", R_SET, SYS_MOUNT_ATTR_NODIRATIME)                                                                         \
	W("rnoexec", R_SET, SYS_MOUNT_ATTR_NOEXEC)                                                                                 \
	W("rnomand", SB, 0)                                                                                                        \
	W("rnorelatime", NOTHING, 0)                                                                                               \
	W("rnostrictatime", R_ATIME, SYS_MOUNT_ATTR_RELATIME)                                                                      \
	W("rnosuid", R_SET, SYS_MOUNT_ATTR_NOSUID)                                                                                 \
	W("rnosymfollow", R_SET, SYS_MOUNT_ATTR_NOSYMFOLLOW)                                                                       \
	W("ro", RO, SYS_MOUNT_ATTR_RDONLY)                                                                                         \
	W("rprivate", PROP, MS_PRIVATE | MS_REC)                                                                                   \
	W("rrelatime", R_ATIME, SYS_MOUNT_ATTR_RELATIME)                                                                           \
	W("rro", R_SET, SYS_MOUNT_ATTR_RDONLY)                                                                                     \
	W("rrw", R_CLEAR, SYS_MOUNT_ATTR_RDONLY)                                                                                   \
	W("rshared", PROP, MS_SHARED | MS_REC)                                                                                     \
	W("rslave", PROP, MS_SLAVE | MS_REC)                                                                                       \
	W("rstrictatime", R_ATIME, SYS_MOUNT_ATTR_STRICTATIME)                                                                     \
	W("rsuid", R_CLEAR, SYS_MOUNT_ATTR_NOSUID)                                                                                 \
	W("rsymfollow", R_CLEAR, SYS_MOUNT_ATTR_NOSYMFOLLOW)                                                                       \
	W("rsync", SB, 0)                                                                                                          \
	W("runbindable", PROP, MS_UNBINDABLE | MS_REC)                                                                             \
	W("rw", RW, SYS_MOUNT_ATTR_RDONLY)                                                                                         \
	W("shared", PROP, MS_SHARED)                                                                                               \
	W("silent", NOTHING, 0)                                                                                                    \
	W("slave", PROP, MS_SLAVE)                                                                                                 \
	W("src-nofollow", SRC_NOFOLLOW, 0)                                                                                         \
	W("strictatime", ATIME, SYS_MOUNT_ATTR_STRICTATIME)                                                                        \
	W("suid", CLEAR, SYS_MOUNT_ATTR_NOSUID)                                                                                    \
	W("symfollow", CLEAR, SYS_MOUNT_ATTR_NOSYMFOLLOW)                                                                          \
	W("sync", SB, 0)                                                                                                           \
	W("tmpcopyup", COPY_UP, 0)                                                                                                 \
	W("unbindable", PROP, MS_UNBINDABLE)

/* clang-format on */
static const struct word {
	const char *name;
	enum effect effect;
	uint32_t key; /* first_four() of the name */
	uint64_t bits;
} words[] = {
#define LETTER(name, i)         ((uint32_t)(unsigned char)(name "\0\0\0")[i] << (24 - 8 * (i)))
#define KEY(name)               (LETTER(name, 0) | LETTER(name, 1) | LETTER(name, 2) | LETTER(name, 3))
#define ROW(name, effect, bits) { name, effect, KEY(name), bits },
	WORDS(ROW)
#undef ROW
};

/* The first letters as a number that is sorted as they are, with zeros behind a shorter name. */
static uint32_t first_four(const char *name)
{
	uint32_t key = 0;

	for (unsigned i = 0; i < 4; i++)
		key = key << 8 | (unsigned char)(*name ? *name++ : 0);
	return key;
}

const char *const *rootfs_option_words(void)
{
#define NAME(name, effect, bits) name,
	static const char *const names[] = { WORDS(NAME) NULL };
#undef NAME
	return names;
}

static const struct word *find_word(const char *name)
{
	size_t lo = 0, hi = sizeof(words) / sizeof(words[0]);
	uint32_t key = first_four(name);

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		int order = key < words[mid].key ? -1 : 1;

		if (key == words[mid].key)
			order = strcmp(name, words[mid].name);
		if (order == 0)
			return &words[mid];
		if (order < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

bool options_is_bind(const struct strs *list)
{
	for (size_t i = 0; i < list->n; i++)
		if (str_eq(list->v[i], "bind") || str_eq(list->v[i], "rbind"))
			return true;
	return false;
}

/* There is room for the power of two that is not below their number. */
void option_add_param(struct mount_op *op, struct arena *a, const char *key, const char *value)
{
	size_t n = op->n_params;

	if ((n & (n - 1)) == 0) {
		struct fs_param *v = arena_alloc(a, (n ? 2 * n : 1) * sizeof(*v));

		if (n)
			memcpy(v, op->params, n * sizeof(*v));
		op->params = v;
	}
	op->params[op->n_params++] = (struct fs_param){ key, value };
}

const struct fs_param *option_find_param(const struct mount_op *op, const char *key)
{
	for (size_t i = 0; i < op->n_params; i++)
		if (str_eq(op->params[i].key, key))
			return &op->params[i];
	return NULL;
}

static void set_bits(uint64_t *set, uint64_t *clr, uint64_t bits, bool on)
{
	*set = on ? *set | bits : *set & ~bits;
	*clr = on ? *clr & ~bits : *clr | bits;
}

/* The kernel wants the whole field cleared before a value is set. */
static void set_atime(uint64_t *set, uint64_t *clr, uint64_t value)
{
	*set = (*set & ~(uint64_t)SYS_MOUNT_ATTR_ATIME) | value;
	*clr |= SYS_MOUNT_ATTR_ATIME;
}

static int add_propagation(struct mount_op *op, unsigned long flags, struct err *e)
{
	if (op->n_propagation == sizeof(op->propagation) / sizeof(op->propagation[0]))
		return err_set(e, EINVAL, "more than %zu propagation options", op->n_propagation);
	op->propagation[op->n_propagation++] = flags;
	return 0;
}

/* "sync" of a new instance; "rsync" etc. are the same there. A bind shares its superblock with others, nothing is changed. */
static void add_sb_flag(struct mount_op *op, struct arena *a, const char *name)
{
	if (op->kind == MOUNT_FS)
		option_add_param(op, a, name[0] == 'r' ? name + 1 : name, NULL);
}

static int apply_switch(const struct word *w, struct mount_op *op)
{
	switch (w->effect) {
	case RBIND:
		op->recursive = true;
		break;
	case REMOUNT:
		op->remount = true;
		break;
	case COPY_UP:
		op->copy_up = true;
		break;
	case COPY_SYMLINK:
		op->copy_symlink = true;
		break;
	case SRC_NOFOLLOW:
		op->src_nofollow = true;
		break;
	case DEST_NOFOLLOW:
		op->dest_nofollow = true;
		break;
	case RIDMAP:
		op->idmap_recursive = true;
		op->idmap = true;
		break;
	case IDMAP:
		op->idmap = true;
		break;
	default:
		break;
	}
	return 0;
}

static int apply_word(const struct word *w, struct arena *a, struct mount_op *op, struct err *e)
{
	switch (w->effect) {
	case RO:
	case RW:
		op->sb_readonly = w->effect == RO && op->kind == MOUNT_FS;
		set_bits(&op->attr_set, &op->attr_clr, w->bits, w->effect == RO);
		return 0;
	case SET:
	case CLEAR:
		set_bits(&op->attr_set, &op->attr_clr, w->bits, w->effect == SET);
		return 0;
	case R_SET:
	case R_CLEAR:
		set_bits(&op->rec_attr_set, &op->rec_attr_clr, w->bits, w->effect == R_SET);
		return 0;
	case ATIME:
		set_atime(&op->attr_set, &op->attr_clr, w->bits);
		return 0;
	case R_ATIME:
		set_atime(&op->rec_attr_set, &op->rec_attr_clr, w->bits);
		return 0;
	case SB:
		add_sb_flag(op, a, w->name);
		return 0;
	case PROP:
		return add_propagation(op, (unsigned long)w->bits, e);
	default:
		return apply_switch(w, op);
	}
}

/* Host id of a container id, for maps that are relative to the container's own. */
static int to_host_id(const struct oci_id_map_list *map, uint32_t id, uint32_t *out, struct err *e)
{
	for (size_t i = 0; i < map->n; i++) {
		const struct oci_id_map *m = &map->v[i];

		if (id >= m->container_id && id - m->container_id < m->size) {
			*out = m->host_id + (id - m->container_id);
			return 0;
		}
	}
	return err_set(e, EINVAL, "id %u is not mapped in the container's user namespace", id);
}

static int parse_id_map(char *text, const struct oci_id_map_list *container, struct oci_id_map *out, struct err *e)
{
	bool relative = text[0] == '@';
	char *first = text + relative, *second = strchr(first, '-'), *third = second ? strchr(second + 1, '-') : NULL;

	if (!third)
		return err_set(e, EINVAL, "\"%s\" is not CONTAINER-HOST-SIZE", text);
	*second = *third = '\0';
	if (parse_u32(first, &out->container_id, e) < 0 || parse_u32(second + 1, &out->host_id, e) < 0 ||
	    parse_u32(third + 1, &out->size, e) < 0)
		return -e->code;
	return relative ? to_host_id(container, out->host_id, &out->host_id, e) : 0;
}

static int parse_id_maps(char *text, const struct oci_id_map_list *container, struct arena *a, struct oci_id_map_list *out,
			 struct err *e)
{
	size_t n = 1;

	for (const char *c = text; *c; c++)
		n += *c == '#';
	out->v = arena_alloc(a, n * sizeof(*out->v));
	for (out->n = 0; out->n < n; out->n++) {
		char *next = text + strcspn(text, "#");

		if (*next)
			*next++ = '\0';
		if (parse_id_map(text, container, &out->v[out->n], e) < 0)
			return -e->code;
		text = next;
	}
	return 0;
}

/* "idmap=uids=0-1000-10#...;gids=..." */
static int parse_idmap_word(const char *word, const struct rootfs_plan *p, struct arena *a, struct mount_op *op, struct err *e)
{
	char *text = arena_strdup(a, strchr(word, '=') + 1);

	op->idmap = true;
	op->idmap_recursive |= word[0] == 'r';
	while (*text) {
		char *next = text + strcspn(text, ";");
		int r;

		if (*next)
			*next++ = '\0';
		if (str_starts(text, "uids="))
			r = parse_id_maps(text + 5, &p->uid_map, a, &op->uid_map, e);
		else if (str_starts(text, "gids="))
			r = parse_id_maps(text + 5, &p->gid_map, a, &op->gid_map, e);
		else
			r = err_set(e, EINVAL, "\"%s\" is neither uids= nor gids=", text);
		if (r < 0)
			return err_in(e, "option \"%s\"", word);
		text = next;
	}
	return 0;
}

/* The end of one parameter: a comma that is neither escaped nor quoted. */
static size_t param_length(const char *s)
{
	bool quoted = false;
	size_t i = 0;

	for (; s[i]; i++) {
		if (s[i] == '\\' && s[i + 1])
			i++;
		else if (s[i] == '"')
			quoted = !quoted;
		else if (s[i] == ',' && !quoted)
			break;
	}
	return i;
}

static const char *unquote(const char *s, struct arena *a)
{
	size_t len = strlen(s);

	return len >= 2 && s[0] == '"' && s[len - 1] == '"' ? arena_strndup(a, s + 1, len - 2) : s;
}

/* mount(2) takes "size=1m,mode=700" as one text, and so callers write it as one word. */
static void add_data(const char *word, struct arena *a, struct mount_op *op)
{
	while (*word) {
		size_t len = param_length(word);
		char *key = arena_strndup(a, word, len), *value = strchr(key, '=');

		if (value)
			*value++ = '\0';
		if (*key)
			option_add_param(op, a, key, value ? unquote(value, a) : NULL);
		word += len;
		word += *word == ',';
	}
}

int options_parse(const struct strs *list, const struct rootfs_plan *p, struct arena *a, struct mount_op *op, struct err *e)
{
	for (size_t i = 0; i < list->n; i++) {
		const char *name = list->v[i];
		const struct word *w = find_word(name);
		int r = 0;

		if (w)
			r = apply_word(w, a, op, e);
		else if (str_starts(name, "idmap=") || str_starts(name, "ridmap="))
			r = parse_idmap_word(name, p, a, op, e);
		else if (op->kind == MOUNT_BIND || op->kind == MOUNT_CGROUP_V1)
			r = err_set(e, EINVAL, "unknown option \"%s\"", name);
		else
			add_data(name, a, op);
		if (r < 0)
			return r;
	}
	return 0;
}
