/* opt.h - command line options, by table
 *
 * A `struct opt_table` describes the flags of one command: names, type, and the member of an options struct each one fills. The
 * same table is parsed, printed by --help, and will feed shell completions. The OPT_* macros check at compile time that the
 * declared kind and the C member agree.
 *
 * The accepted style is that of Go's programs, whose callers we serve: `--flag value`, `--flag=value`, long names with one dash as
 * well, booleans with or without a value (`--flag=false`), repeated flags (the last one wins, lists grow). Letters may be
 * bundled (`-dt`) and carry their value (`-u1000`). `--` ends the flags.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A boolean of which it matters whether it was given. */
struct opt_flag {
	bool value, set;
};

/* Values of a flag that may be repeated, in order; v is NULL until the first, then NULL-terminated. */
struct opt_list {
	char **v;
	size_t n;
};

enum opt_kind {
	OPT_KIND_BOOL,     /* bool            */
	OPT_KIND_FLAG,     /* struct opt_flag */
	OPT_KIND_STR,      /* const char *    */
	OPT_KIND_CHOICE,   /* const char *, one of a list */
	OPT_KIND_U32,      /* uint32_t        */
	OPT_KIND_LIST,     /* struct opt_list */
	OPT_KIND_DURATION, /* int64_t, milliseconds, written "5s", "1m30s", "250ms" */
};

struct opt {
	const char *name;   /* long name, without dashes            */
	const char *letters; /* one-letter names, "vV"; NULL: none   */
	uint8_t kind;        /* enum opt_kind                        */
	uint16_t offset;
	const char *arg;     /* what the value is, for help: "FILE"  */
	const char *help;    /* NULL: accepted but never shown       */
	const char *const *choices;
};

struct opt_table {
	const struct opt *v;
	size_t n;
	size_t size; /* of the options struct */
};

#define OPT_SAME(T, m, C) (0 * sizeof(char[__builtin_types_compatible_p(__typeof__(((T *)0)->m), C) ? 1 : -1]))
#define OPT_(T, m, C, k, nm, sh, ar, h, ch) { nm, sh, k, offsetof(T, m) + OPT_SAME(T, m, C), ar, h, ch }
#define OPT_BOOL(T, m, nm, sh, h)           OPT_(T, m, bool, OPT_KIND_BOOL, nm, sh, NULL, h, NULL)
#define OPT_FLAG(T, m, nm, sh, h)           OPT_(T, m, struct opt_flag, OPT_KIND_FLAG, nm, sh, NULL, h, NULL)
#define OPT_STR(T, m, nm, sh, ar, h)        OPT_(T, m, const char *, OPT_KIND_STR, nm, sh, ar, h, NULL)
#define OPT_CHOICE(T, m, nm, sh, ar, h, ch) OPT_(T, m, const char *, OPT_KIND_CHOICE, nm, sh, ar, h, ch)
#define OPT_U32(T, m, nm, sh, ar, h)        OPT_(T, m, unsigned, OPT_KIND_U32, nm, sh, ar, h, NULL)
#define OPT_LIST(T, m, nm, sh, ar, h)       OPT_(T, m, struct opt_list, OPT_KIND_LIST, nm, sh, ar, h, NULL)
#define OPT_DURATION(T, m, nm, sh, ar, h)   OPT_(T, m, int64_t, OPT_KIND_DURATION, nm, sh, ar, h, NULL)

#define OPT_TABLE(id, T, ...)                                                                                         \
	static const struct opt id##_opts[] = { __VA_ARGS__ };                                                         \
	static const struct opt_table id = { id##_opts, sizeof(id##_opts) / sizeof(id##_opts[0]), sizeof(T) }

/* What is left of a command line. */
struct opt_rest {
	char **args; /* operands in order, NULL-terminated, in the arena */
	size_t n;
	bool help;   /* --help or -h came: nothing behind it was looked at */
};

/* Parses argv[0 .. argc) (no program name) into the options struct at *into, which holds the defaults. in_order: the first operand
 * ends the flags. EINVAL: `unknown flag: --x`, `flag needs an argument: --x`, or a value that does not fit. */
must_check int opt_parse(const struct opt_table *t, int argc, char **argv, bool in_order, struct arena *a, void *into,
			 struct opt_rest *rest, struct err *e);

/* Adds one line per shown flag: "  -b, --bundle DIR   text", in 80 columns. */
void opt_help(const struct opt_table *t, struct strbuf *out);

/* "1m30s" to milliseconds. EINVAL: not a duration; ERANGE: more than the number holds. */
must_check int opt_duration(const char *s, int64_t *ms, struct err *e);
