/* One container, or all that a pattern names. */
#include "base/log.h"
#include "cli/cli.h"

#include <errno.h>
#include <regex.h>

static int compile(const char *pattern, regex_t *re, struct err *e)
{
	int r = regcomp(re, pattern, REG_EXTENDED | REG_NOSUB);
	char why[128];

	if (r == 0)
		return 0;
	regerror(r, re, why, sizeof(why));
	return err_set(e, EINVAL, "regular expression \"%.100s\": %s", pattern, why);
}

static int each_match(struct cli *c, const regex_t *re, int (*act)(struct cli *c, const char *id, void *ctx, struct err *e),
		      void *ctx, struct err *e)
{
	struct container_info *v = NULL;
	size_t n = 0, failed = 0;
	struct err one;
	int r = container_list(&c->rt, c->arena, &v, &n, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		const char *id = v[i].state->id;

		if (regexec(re, id, 0, NULL, 0) != 0 || act(c, id, ctx, &one) >= 0)
			continue;
		if (failed++)
			log_warn("%s", one.text);
		else
			*e = one;
	}
	if (failed > 1)
		return err_in(e, "%zu containers failed, the first", failed);
	return failed ? -e->code : 0;
}

int cli_each(struct cli *c, bool regex, const char *target, int (*act)(struct cli *c, const char *id, void *ctx, struct err *e),
	     void *ctx, struct err *e)
{
	regex_t re;

	if (!regex)
		return cli_done(act(c, target, ctx, e));
	int r = compile(target, &re, e);

	if (r < 0)
		return r;
	r = each_match(c, &re, act, ctx, e);
	regfree(&re);
	return r;
}
