/* Theory of operation: the mirror image of decode.c. Walks a shape's table and writes what each member holds; recursion is as deep
 * as the tables are, not as the data is.
 */
#include "oci/encode.h"

#include <string.h>

/* Values come out of memory by copy: a member is known by kind only, not by its type. */
#define LOAD(T, src) (*(T *)memcpy(&(T){ 0 }, (src), sizeof(T)))

static void write_number(struct json_writer *w, const char *key, enum kind kind, const void *src)
{
	if (kind == K_I64)
		json_i64(w, key, LOAD(int64_t, src));
	else if (kind == K_U64)
		json_u64(w, key, LOAD(uint64_t, src));
	else if (kind == K_I32)
		json_i64(w, key, LOAD(int32_t, src));
	else if (kind == K_U32)
		json_u64(w, key, LOAD(uint32_t, src));
	else if (kind == K_OPT_I64 && LOAD(struct opt_i64, src).set)
		json_i64(w, key, LOAD(struct opt_i64, src).value);
	else if (kind != K_OPT_I64 && LOAD(struct opt_u64, src).set)
		json_u64(w, key, LOAD(struct opt_u64, src).value);
}

static void write_u32s(struct json_writer *w, const char *key, const struct u32s *list)
{
	if (!list->v)
		return;
	json_open(w, key, '[');
	for (size_t i = 0; i < list->n; i++)
		json_u64(w, NULL, list->v[i]);
	json_close(w, ']');
}

static void write_map(struct json_writer *w, const char *key, const struct pairs *map)
{
	if (!map->v)
		return;
	json_open(w, key, '{');
	for (size_t i = 0; i < map->n; i++)
		json_str(w, map->v[i].name, map->v[i].value);
	json_close(w, '}');
}

static void write_list(struct json_writer *w, const char *key, const struct shape *s, bool keyed, const void *src)
{
	const struct any_list list = LOAD(struct any_list, src);

	if (!list.v)
		return;
	json_open(w, key, keyed ? '{' : '[');
	for (size_t i = 0; i < list.n; i++) {
		const char *item = (const char *)list.v + i * s->size;

		encode(w, keyed ? LOAD(const char *, item) : NULL, s, item);
	}
	json_close(w, keyed ? '}' : ']');
}

static void write_field(struct json_writer *w, const struct field *f, const void *src)
{
	switch ((enum kind)f->kind) {
	case K_STR:
		if (LOAD(const char *, src))
			json_str(w, f->name, LOAD(const char *, src));
		break;
	case K_BOOL:
		if (LOAD(bool, src) || (f->flags & REQUIRED))
			json_bool(w, f->name, LOAD(bool, src));
		break;
	case K_I64:
	case K_U64:
	case K_U32:
	case K_I32:
	case K_OPT_I64:
	case K_OPT_U64:
	case K_OPT_U32:
	case K_OPT_U16:
		write_number(w, f->name, f->kind, src);
		break;
	case K_ENUM:
		json_str(w, f->name, ((const struct names *)f->arg)->v[LOAD(int, src)]);
		break;
	case K_STRS:
		if (LOAD(struct strs, src).v)
			json_strs(w, f->name, LOAD(struct strs, src).v);
		break;
	case K_U32S:
		write_u32s(w, f->name, src);
		break;
	case K_MAP:
		write_map(w, f->name, src);
		break;
	case K_OBJ:
		if (LOAD(const void *, src))
			encode(w, f->name, f->arg, LOAD(const void *, src));
		break;
	case K_OBJS:
	case K_OBJMAP:
		write_list(w, f->name, f->arg, f->kind == K_OBJMAP, src);
		break;
	}
}

void encode_members(struct json_writer *w, const struct shape *s, const void *object, size_t first, size_t end)
{
	for (size_t i = first; i < end; i++)
		write_field(w, &s->fields[i], (const char *)object + s->fields[i].offset);
}

void encode(struct json_writer *w, const char *key, const struct shape *s, const void *object)
{
	json_open(w, key, '{');
	encode_members(w, s, object, 0, s->n);
	json_close(w, '}');
}
