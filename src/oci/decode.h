/* decode.h - fill C structures from JSON by table
 *
 * A `struct shape` describes one C structure: which member holds which JSON member, and of what type. The F_* macros check at
 * compile time that the declared kind and the C member agree, so a table cannot lie. encode.h writes JSON by the same tables.
 *
 * Three readings are common to all tables:
 *  - members a shape does not name are ignored, as the OCI specification asks; one that is null counts as absent, as in Go;
 *  - numbers are integers, written as such (no fraction, no exponent), exact in 64 bits, and range-checked by kind;
 *  - an optional enum (F_ENUM without REQUIRED) may be "", which counts as absent: Go programs write that for an unset string.
 */
#pragma once
#include "oci/json.h"

enum kind {
	K_STR,     /* const char *                              */
	K_BOOL,    /* bool                                      */
	K_I64,     /* int64_t                                   */
	K_U64,     /* uint64_t                                  */
	K_U32,     /* uint32_t                                  */
	K_I32,     /* int32_t                                   */
	K_OPT_I64, /* struct opt_i64                            */
	K_OPT_U64, /* struct opt_u64                            */
	K_OPT_U32, /* struct opt_u64, at most 32 bits           */
	K_OPT_U16, /* struct opt_u64, at most 16 bits           */
	K_ENUM,    /* int, index of the word in names           */
	K_STRS,    /* struct strs; with names, each one of them */
	K_U32S,    /* struct u32s                               */
	K_OBJ,     /* pointer to a struct                       */
	K_OBJS,    /* struct NAME_list                          */
	K_MAP,     /* struct pairs: name -> string              */
	K_OBJMAP,  /* struct NAME_list, the member name is stored in the first member of NAME */
};

enum {
	REQUIRED = 1,  /* K_*: must be present                                                                  */
	NONEMPTY = 2,  /* K_STR, K_STRS: not "" and not []; K_MAP: no name is ""                                */
	ABSOLUTE = 4,  /* K_STR, and each of K_STRS: begins with a slash                                        */
	EMPTY_NONE = 8 /* K_STR: "" counts as absent                                                            */
};

struct opt_i64 { int64_t value; bool set; };
struct opt_u64 { uint64_t value; bool set; };
struct strs    { const char **v; size_t n; }; /* v[n] is NULL; v itself is NULL when the member was absent */
struct u32s    { uint32_t *v; size_t n; };
struct pair    { const char *name, *value; };
struct pairs   { struct pair *v; size_t n; };

struct names { const char *const *v; int n; };

struct field {
	const char *name;
	uint16_t offset;
	uint8_t kind;
	uint8_t flags;
	const void *arg; /* const struct shape * or const struct names * */
};

struct checker;

struct shape {
	size_t size;
	const struct field *fields;
	size_t n;
	/* Checks what a single member cannot express, and completes the object (defaults). Called only when every member was good.
	 * May be NULL. Reports by check_fail(). */
	int (*check)(void *object, struct checker *c);
	/* The same for a whole list of such objects, given as struct any_list. May be NULL. */
	int (*check_list)(void *list, struct checker *c);
};

struct any_list { void *v; size_t n; };

#define SAME(T, m, C) (0 * sizeof(char[__builtin_types_compatible_p(__typeof__(((T *)0)->m), C) ? 1 : -1]))
#define FIELD_(T, m, nm, C, k, fl, a) { nm, offsetof(T, m) + SAME(T, m, C), k, fl, a }
#define F_STR(T, m, nm, fl)      FIELD_(T, m, nm, const char *, K_STR, fl, NULL)
#define F_BOOL(T, m, nm, fl)     FIELD_(T, m, nm, bool, K_BOOL, fl, NULL)
#define F_I64(T, m, nm, fl)      FIELD_(T, m, nm, int64_t, K_I64, fl, NULL)
#define F_U64(T, m, nm, fl)      FIELD_(T, m, nm, uint64_t, K_U64, fl, NULL)
#define F_U32(T, m, nm, fl)      FIELD_(T, m, nm, uint32_t, K_U32, fl, NULL)
#define F_I32(T, m, nm, fl)      FIELD_(T, m, nm, int32_t, K_I32, fl, NULL)
#define F_OI64(T, m, nm)         FIELD_(T, m, nm, struct opt_i64, K_OPT_I64, 0, NULL)
#define F_OU64(T, m, nm)         FIELD_(T, m, nm, struct opt_u64, K_OPT_U64, 0, NULL)
#define F_OU32(T, m, nm)         FIELD_(T, m, nm, struct opt_u64, K_OPT_U32, 0, NULL)
#define F_OU16(T, m, nm)         FIELD_(T, m, nm, struct opt_u64, K_OPT_U16, 0, NULL)
#define F_ENUM(T, m, nm, fl, a)  FIELD_(T, m, nm, int, K_ENUM, fl, a)
#define F_STRS(T, m, nm, fl)     FIELD_(T, m, nm, struct strs, K_STRS, fl, NULL)
#define F_WORDS(T, m, nm, fl, a) FIELD_(T, m, nm, struct strs, K_STRS, fl, a)
#define F_U32S(T, m, nm)         FIELD_(T, m, nm, struct u32s, K_U32S, 0, NULL)
#define F_MAP(T, m, nm, fl)      FIELD_(T, m, nm, struct pairs, K_MAP, fl, NULL)
#define F_OBJ(T, m, nm, fl, S)   FIELD_(T, m, nm, const struct S *, K_OBJ, fl, &shape_##S)
#define F_OBJS(T, m, nm, fl, S)  FIELD_(T, m, nm, struct S##_list, K_OBJS, fl, &shape_##S)
#define F_OBJMAP(T, m, nm, S)    FIELD_(T, m, nm, struct S##_list, K_OBJMAP, 0, &shape_##S)

/* Defines shape_S. SHARED_SHAPE is for shapes that oci/shapes.h declares. */
#define SHAPE_(S, linkage, chk, chk_list, ...)                                                                            \
	static const struct field fields_##S[] = { __VA_ARGS__ };                                                         \
	_Static_assert(sizeof(fields_##S) / sizeof(fields_##S[0]) <= 64, "read_object() counts members in 64 bits");      \
	linkage const struct shape shape_##S = { sizeof(struct S), fields_##S, sizeof(fields_##S) / sizeof(fields_##S[0]), \
		chk, chk_list }
#define SHAPE(S, chk, ...)               SHAPE_(S, static, chk, NULL, __VA_ARGS__)
#define SHAPE_LIST(S, chk, chk_all, ...) SHAPE_(S, static, chk, chk_all, __VA_ARGS__)
#define SHARED_SHAPE(S, chk, ...)        SHAPE_(S, , chk, NULL, __VA_ARGS__)

/* Defines the public array oci_ID (NULL-terminated) and struct names ID over it. */
#define NAMES(id, ...)                                       \
	const char *const oci_##id[] = { __VA_ARGS__, NULL }; \
	static const struct names id = { oci_##id, sizeof(oci_##id) / sizeof(oci_##id[0]) - 1 }

/* Fills the zeroed *object from v. EINVAL: the text names line and path of the first problem, e.g.
 *   line 41: linux.resources.pids.limit: expected number, got string */
must_check int decode(struct arena *a, const struct shape *s, const struct json *v, void *object, struct err *e);

#define PROBLEMS_MAX 1000 /* more are not listed; the last entry then says so */
struct problems {
	const char **v; /* what is wrong */
	size_t n;
	const char **hints; /* members that are ignored, but have nearly the name of a known one; PROBLEMS_MAX at most */
	size_t n_hints;
};

/* Like decode(), but goes on after a problem and lists all of them, in the order found, in *p; texts and array live in *a. */
must_check int decode_all(struct arena *a, const struct shape *s, const struct json *v, void *object, struct problems *p,
			  struct err *e);

/* ---- for the check functions of shapes ---- */

/* Reports a problem of the object (or list) being checked; the path and line are those of its member `member` (NULL: itself),
 * and within that (or within the list) of element `index` (-1: none). Returns -EINVAL. Of several problems all are kept by
 * decode_all(), the first by decode(), so that a check may go on after it. */
int check_fail(struct checker *c, const char *member, long index, const char *fmt, ...) __attribute__((format(printf, 4, 5), cold));

/* Whether the object being checked has this member, and it is neither null nor "". */
bool check_has(const struct checker *c, const char *member);
