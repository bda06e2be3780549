/* One container, or all that a pattern names. */
#include "base/log.h"
#include "cli/cli.h"
#include "cli/ere.h"

static int each_match(struct cli *c, const char *pattern, int (*act)(struct cli *c, const char *id, void *ctx, struct err *e),
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

		r = ere_match(pattern, id, &one);
		if (r == 0 || (r > 0 && act(c, id, ctx, &one) >= 0))
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
	if (!regex)
		return cli_done(act(c, target, ctx, e));
	int r = ere_match(target, "", e); /* is it one? */

	return r < 0 ? r : each_match(c, target, act, ctx, e);
}
