/* Prints the tables of oci/ for the lint `schema`: one member a line, PATH KIND FLAGS WORDS, separated by tabs. Elements of a list
 * are PATH[], values of a map PATH{}. */
#include "oci/shapes.h"

#include <stdio.h>
#include <string.h>

static const char *const kinds[] = {
	[K_STR] = "string",  [K_BOOL] = "boolean",     [K_I64] = "int64",      [K_U64] = "uint64",     [K_U32] = "uint32",
	[K_I32] = "int32",   [K_OPT_I64] = "int64",    [K_OPT_U64] = "uint64", [K_OPT_U32] = "uint32", [K_OPT_U16] = "uint16",
	[K_ENUM] = "string", [K_STRS] = "strings",     [K_U32S] = "uint32s",   [K_OBJ] = "object",     [K_OBJS] = "objects",
	[K_MAP] = "map",     [K_OBJMAP] = "objectmap",
};

static void dump(const char *path, const struct shape *s, int depth)
{
	for (size_t i = 0; i < s->n && depth < 16; i++) {
		const struct field *f = &s->fields[i];
		const struct names *words = f->kind == K_ENUM || f->kind == K_STRS ? f->arg : NULL;
		char here[512];

		snprintf(here, sizeof(here), "%s%s%s", path, path[0] ? "." : "", f->name);
		printf("%s\t%s\t%s\t", here, kinds[f->kind], f->flags & REQUIRED ? "required" : "");
		for (int k = 0; words && k < words->n; k++)
			printf("%s%s", words->v[k], k + 1 < words->n ? "," : "");
		putchar('\n');
		if (f->kind == K_OBJS || f->kind == K_OBJMAP)
			strcat(here, f->kind == K_OBJS ? "[]" : "{}");
		if (f->kind == K_OBJ || f->kind == K_OBJS || f->kind == K_OBJMAP)
			dump(here, f->arg, depth + 1);
	}
}

int main(void)
{
	dump("", &shape_oci_spec, 0);
	return 0;
}
