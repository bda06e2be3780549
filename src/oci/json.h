/* json.h - parse JSON text into a read-only tree */
#pragma once
#include "base/arena.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum json_type {
	JSON_NULL,
	JSON_BOOL,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT,
};

struct json {
	const char *key;     /* member name, NULL outside objects */
	const char *text;    /* string value, or the digits of a number */
	struct json *child;  /* first element or member */
	struct json *next;   /* following sibling */
	uint32_t len;        /* bytes of text, or number of children */
	uint32_t line;       /* 1-based source line */
	uint8_t type;        /* enum json_type */
	bool truth;
};

#define JSON_DEPTH_MAX 32                /* levels of nesting */
#define JSON_TEXT_MAX 16777216u          /* bytes of input */
#define JSON_VALUES_MAX 1048576u         /* values in a document: bounds the memory of a tree, ~64 bytes each */

/* Parses the len bytes at text, which must be one JSON value as RFC 8259
 * has it: UTF-8, no comments, nothing after the value. The tree and its
 * strings live in *a; text is not needed afterwards. Takes linear time
 * (n log n in the members of one object).
 * EINVAL malformed, too deep, a repeated member name, text that is not
 * UTF-8 or contains NUL (raw or escaped): "line N: PATH: reason", or
 * "line N: reason" outside of any member. E2BIG too long or too many values. */
must_check int json_parse(struct arena *a, const char *text, size_t len,
			  const struct json **out, struct err *e);

/* The same, with the tree in *nodes and names, strings and digits in *texts: they may outlive the tree. */
must_check int json_parse_apart(struct arena *nodes, struct arena *texts, const char *text, size_t len,
				const struct json **out, struct err *e);

/* The member of an object by name, NULL when there is none. */
const struct json *json_member(const struct json *object, const char *name);

const char *json_type_name(enum json_type t);
