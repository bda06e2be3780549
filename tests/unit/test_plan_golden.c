/* Golden tests of whole plans: tests/plan/NAME.json, planned for a faked host, must print tests/plan/NAME.HOST.txt.
 * `test_plan_golden --update` writes the texts; read the difference before committing it. */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "plan/plan.h"
#include "tap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

static const struct {
	const char *name;
	enum cgroup_mode mode;
} hosts[] = {
	{ "v1", CGROUP_MODE_V1 },
	{ "hybrid", CGROUP_MODE_HYBRID },
	{ "v2", CGROUP_MODE_V2 },
};
static bool update;

/* The plan of a config as text, or the error that refuses it. */
static const char *plan_text(struct arena *a, const char *config, size_t len, enum cgroup_mode mode)
{
	const struct plan_options o = { .id = "golden", .bundle = "/bundle" };
	const struct oci_spec *spec;
	struct strbuf out = STRBUF(a);
	struct host h;
	struct plan p;
	struct err e;

	host_fake(&h, mode);
	if (oci_spec_parse(a, config, len, &spec, &e) < 0 || plan_build(spec, &o, &h, a, &p, &e) < 0)
		return arena_printf(a, "refused: %s\n", e.text);
	plan_print(&p, &out);
	return strbuf_str(&out);
}

static void compare(int dir, const char *name, const char *text)
{
	auto_arena struct arena a = { 0 };
	struct err e;
	char *want;

	if (update) {
		expect(file_write_atomic(dir, name, 0644, text, strlen(text), &e) == 0);
		return;
	}
	if (file_read(dir, name, 1u << 20, true, &a, &want, &e) < 0) {
		printf("# %s\n", e.text);
		tap_failed = true;
		return;
	}
	if (strcmp(want, text) != 0)
		printf("# %s differs; the plan now is:\n%s\n", name, text);
	expect(strcmp(want, text) == 0);
}

static int open_plans(void)
{
	const char *path = getenv("DRUPE_PLAN_DIR");

	return open(path ? path : "tests/plan", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void plans_print_as_recorded(void)
{
	auto_fd int dir = open_plans();
	DIR *list = dir < 0 ? NULL : fdopendir(dup(dir));
	const struct dirent *d;
	int found = 0;

	expect(list != NULL);
	while (list && (d = readdir(list))) {
		auto_arena struct arena a = { 0 };
		struct err e;
		char *config;

		if (!str_ends(d->d_name, ".json"))
			continue;
		ssize_t n = file_read(dir, d->d_name, 1u << 20, true, &a, &config, &e);

		expect(n > 0);
		for (size_t i = 0; n > 0 && i < sizeof(hosts) / sizeof(hosts[0]); i++) {
			const char *text = plan_text(&a, config, (size_t)n, hosts[i].mode);
			size_t stem = strlen(d->d_name) - strlen(".json");

			compare(dir, arena_printf(&a, "%.*s.%s.txt", (int)stem, d->d_name, hosts[i].name), text);
		}
		found++;
	}
	if (list)
		closedir(list);
	expect(found > 0);
}

/* The same input gives the same plan, also in the presence of a hundred thousand variables, in reasonable time. */
static void environment_keeps_the_last_of_each_name(void)
{
	auto_arena struct arena a = { 0 };
	struct strbuf b = STRBUF(&a);
	const struct oci_spec *spec;
	const struct plan_options o = { .id = "env", .bundle = "/bundle" };
	struct host h;
	struct plan p;
	struct err e;

	strbuf_puts(&b,
		    "{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"r\"},\"process\":{\"cwd\":\"/\",\"args\":[\"x\"],\"env\":[");
	for (int i = 0; i < 100000; i++)
		strbuf_printf(&b, "\"V%d=%d\",", i % 50000, i);
	strbuf_puts(&b, "\"HOME=\"]},\"linux\":{\"namespaces\":[{\"type\":\"mount\"}]}}");
	host_fake(&h, CGROUP_MODE_V2);
	expect(oci_spec_parse(&a, b.text, b.len, &spec, &e) == 0);
	expect(plan_build(spec, &o, &h, &a, &p, &e) == 0);
	expect_str(p.proc.envp[0], "V0=50000");
	expect_str(p.proc.envp[49999], "V49999=99999");
	expect_str(p.proc.envp[50000], "HOME=");
	expect(p.proc.envp[50001] == NULL);
	expect(p.proc.set_home);
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = { CASE(plans_print_as_recorded), CASE(environment_keeps_the_last_of_each_name) };

	update = argc > 1 && strcmp(argv[1], "--update") == 0;
	return tap_run(cases, sizeof(cases) / sizeof(cases[0]));
}
