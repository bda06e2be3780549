/* json_oracle.h - JSON read by yajl, to compare with */
#pragma once
#include <stddef.h>

/* Reads the text with json_parse() and with yajl; NULL when both say the same of it, else what they disagree about. yajl is lax about
 * surrogates, overlong UTF-8, NUL, repeated names, depth and size: what json_parse() refuses for those reasons it may accept. */
const char *json_oracle_objects(const char *text, size_t len);
