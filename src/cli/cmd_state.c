/* state */
#include "cli/cli.h"

/* Keys and their order are those that callers know from other runtimes. */
void container_json(struct json_writer *w, const struct container_info *i)
{
	json_open(w, NULL, '{');
	json_str(w, "ociVersion", i->state->oci_version);
	json_str(w, "id", i->state->id);
	json_i64(w, "pid", i->pid);
	json_str(w, "status", container_status_name(i->status));
	json_str(w, "bundle", i->state->bundle);
	json_str(w, "rootfs", i->state->rootfs);
	json_str(w, "created", i->state->created);
	if (i->state->annotations.n) {
		json_open(w, "annotations", '{');
		for (size_t k = 0; k < i->state->annotations.n; k++)
			json_str(w, i->state->annotations.v[k].name, i->state->annotations.v[k].value);
		json_close(w, '}');
	}
	json_str(w, "owner", i->owner);
	json_close(w, '}');
}

static int run_state(struct cli *c, void *opts, const struct opt_rest *rest, struct err *e)
{
	struct strbuf out = STRBUF(c->arena);
	struct container_info info;
	struct json_writer w;
	int r = container_info(&c->rt, rest->args[0], c->arena, &info, e);

	(void)opts;
	if (r < 0)
		return r;
	json_begin(&w, &out, 2);
	container_json(&w, &info);
	strbuf_puts(&out, "\n");
	return cli_print(c, &out, e);
}

const struct command cmd_state = {
	.name = "state",
	.operands = "CONTAINER",
	.brief = "print what it is doing",
	.help = "Prints the state of a container as JSON.",
	.example = "state web",
	.min = 1,
	.max = 1,
	.only_looks = true,
	.run = run_state,
};
