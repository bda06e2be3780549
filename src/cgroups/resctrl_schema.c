/* Does a class of resctrl allow what a config asks for?
 *
 * The kernel does not give back what was written: it pads names, writes masks with leading zeros, lists all domains in its own
 * order and rounds bandwidth up. So lines are compared by their meaning: "RESOURCE:DOMAIN=VALUE;...", where a value is a number, of
 * base 16 for caches and 10 for bandwidth.
 */
#include "cgroups/resctrl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BLANK " \t"

/* A part of a text. */
struct part {
	const char *at;
	size_t len;
};

struct domain {
	struct part id, value;
};

static struct part trim(const char *at, size_t len)
{
	size_t skip = strspn(at, BLANK);

	skip = skip < len ? skip : len;
	at += skip;
	len -= skip;
	while (len && strchr(BLANK, at[len - 1]))
		len--;
	return (struct part){ at, len };
}

static bool same_text(struct part a, struct part b)
{
	return a.len == b.len && memcmp(a.at, b.at, a.len) == 0;
}

/* The name of the resource on the line at `line`; *rest is what follows the colon, NULL when there is none. */
static struct part resource_of(const char *line, const char **rest)
{
	size_t len = strcspn(line, ":\n");

	*rest = line[len] == ':' ? line + len + 1 : NULL;
	return trim(line, len);
}

/* Where the domains of the resource begin in the file; NULL: the file has no such resource. */
static const char *find_resource(const char *file, struct part name)
{
	while (*file) {
		const char *rest;

		if (same_text(resource_of(file, &rest), name) && rest)
			return rest;
		file += strcspn(file, "\n");
		file += *file == '\n';
	}
	return NULL;
}

/* Takes the next domain from the line; false at its end. One without "=" has no value. */
static bool next_domain(const char **at, struct domain *out)
{
	size_t len = strcspn(*at, ";\n"), name = strcspn(*at, "=;\n");

	if (**at == '\0' || **at == '\n')
		return false;
	out->id = trim(*at, name);
	out->value = name < len ? trim(*at + name + 1, len - name - 1) : (struct part){ *at + len, 0 };
	*at += len + ((*at)[len] == ';');
	return true;
}

static bool to_number(struct part p, int base, unsigned long long *out)
{
	char text[40], *end;

	if (!p.len || p.len >= sizeof(text) || strchr("+-", *p.at))
		return false;
	memcpy(text, p.at, p.len);
	text[p.len] = '\0';
	errno = 0;
	*out = strtoull(text, &end, base);
	return !*end && errno == 0;
}

static bool same_number(struct part want, struct part have, int base, unsigned gran)
{
	unsigned long long w, h;

	if (!to_number(want, base, &w) || !to_number(have, base, &h))
		return want.len && same_text(want, have);
	/* Above 100 it is no percentage, but the file system was mounted to take megabytes a second, which are not rounded. */
	return w == h || (gran > 1 && w <= 100 && (w + gran - 1) / gran * gran == h);
}

static bool domain_is(const char *domains, const struct domain *want, int base, unsigned gran)
{
	struct domain have;

	while (next_domain(&domains, &have))
		if (same_number(want->id, have.id, 10, 0))
			return same_number(want->value, have.value, base, gran);
	return false;
}

bool resctrl_schemata_have(const char *file, const char *want, unsigned gran)
{
	const char *asked;
	struct part name = resource_of(want, &asked);
	const char *domains = asked ? find_resource(file, name) : NULL;
	bool bandwidth = same_text(name, (struct part){ "MB", 2 }) || same_text(name, (struct part){ "SMBA", 4 });
	struct domain d;
	size_t n = 0;

	if (!domains)
		return false;
	for (; next_domain(&asked, &d); n++)
		if (!domain_is(domains, &d, bandwidth ? 10 : 16, bandwidth ? gran : 0))
			return false;
	return n > 0;
}
