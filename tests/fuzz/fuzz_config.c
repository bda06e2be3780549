/* Feeds arbitrary bytes to every parser of oci/ and holds the results against each other: what check and parse say of one text must
 * agree, a state that was read must be written and read back the same, and yajl must read the same JSON. A broken promise aborts.
 */
#include "json_oracle.h"
#include "oci/state.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define insist(cond) ((cond) ? (void)0 : broken(#cond))

static void broken(const char *what)
{
	fprintf(stderr, "broken: %s\n", what);
	abort();
}

/* An error text is one line, not empty, and printable. */
static void insist_message(const char *text)
{
	insist(text[0]);
	for (const char *p = text; *p; p++)
		insist((unsigned char)*p >= 0x20 && *p != 0x7f);
}

static void check_config(const char *text, size_t len)
{
	auto_arena struct arena a = { 0 };
	const struct oci_spec *parsed = NULL, *checked = NULL;
	struct oci_problems problems;
	struct err e = { 0 }, e_check = { 0 };
	int r = oci_spec_parse(&a, text, len, &parsed, &e), r_check = oci_spec_check(&a, text, len, &checked, &problems, &e_check);

	insist((r == 0) == (parsed != NULL));
	insist((r == 0) == (checked != NULL));
	insist((r == 0) == (problems.n == 0));
	insist(r_check == 0 || r == r_check);
	for (size_t i = 0; i < problems.n; i++)
		insist_message(problems.v[i]);
	if (r < 0)
		insist(!strcmp(e.text, problems.v[0]));
	else
		insist(parsed->hooks && parsed->linux_ && parsed->linux_->resources && (!parsed->process || parsed->process->user));
}

static void check_parts(const char *text, size_t len)
{
	auto_arena struct arena a = { 0 };
	const struct oci_process *process = NULL;
	const struct oci_resources *resources = NULL;
	struct err e;

	insist((oci_process_parse(&a, text, len, &process, &e) == 0) == (process != NULL));
	insist(!process || (process->args.n && !process->args.v[process->args.n] && process->cwd[0] == '/'));
	insist((oci_resources_parse(&a, text, len, &resources, &e) == 0) == (resources != NULL));
}

static void check_state(const char *text, size_t len)
{
	auto_arena struct arena a = { 0 };
	const struct oci_state *s, *again;
	struct oci_state_text first = { .text = STRBUF(&a) }, second = { .text = STRBUF(&a) };
	struct strbuf hook = STRBUF(&a);
	const struct json *tree;
	struct err e;

	if (oci_state_parse(&a, text, len, &s, &e) < 0) {
		insist_message(e.text);
		return;
	}
	oci_state_encode(s, &first);
	insist(oci_state_parse(&a, first.text.text, first.text.len, &again, &e) == 0);
	oci_state_encode(again, &second);
	insist(!strcmp(first.text.text, second.text.text));
	oci_state_for_hook("1.3.0", s->id, s->status, s->pid, s->bundle, &s->annotations, &hook);
	insist(json_parse(&a, hook.text, hook.len, &tree, &e) == 0);
	insist(!strchr(hook.text, '\n'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;

	insist(!json_oracle_objects(text, size));
	check_config(text, size);
	check_parts(text, size);
	check_state(text, size);
	return 0;
}
