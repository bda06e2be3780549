/* test_guest_plan.c - plans as bytes for a guest: nothing is lost, and no bytes do harm */
#include "base/cleanup.h"
#include "base/fd.h"
#include "hwvirt-sandbox/proto/message.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

static struct err e;

static int build(struct arena *a, const char *name, enum cgroup_mode mode, struct plan *out)
{
	const struct plan_options o = { .id = "golden", .bundle = "/bundle" };
	const char *path = getenv("DRUPE_PLAN_DIR");
	auto_fd int dir = open(path ? path : "tests/plan", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct oci_spec *spec;
	struct host h;
	char *config;

	host_fake(&h, mode);
	if (file_read(dir, name, 1u << 20, true, a, &config, &e) < 0 || oci_spec_parse(a, config, strlen(config), &spec, &e) < 0)
		return -1;
	return plan_build(spec, &o, &h, a, out, &e);
}

static struct message encode(struct arena *a, struct msg_create m)
{
	struct strbuf b = STRBUF(a);
	struct codec c = codec_encoder(&b);

	codec_create(&c, &m);
	expect(codec_end(&c, "create", &e) == 0);
	return (struct message){ .type = PROTO_CREATE, .id = 1, .data = b.text, .len = b.len };
}

static const char *printed(struct arena *a, const struct plan *p)
{
	struct strbuf b = STRBUF(a);

	plan_print(p, &b);
	return strbuf_str(&b);
}

static void whole_plans_round_trip(void)
{
	static const char *const names[] = { "minimal.json", "docker.json", "userns.json" };

	for (size_t i = 0; i < 3 * sizeof(names) / sizeof(*names); i++) {
		auto_arena struct arena a = { 0 }, b = { 0 };
		struct msg_create in = { .streams = STREAM_STDOUT }, out;

		if (build(&a, names[i / 3], CGROUP_MODE_V1 + (int)(i % 3), &in.plan) < 0) {
			printf("# %s: %s\n", names[i / 3], e.text);
			tap_failed = true;
			continue;
		}
		/* The others are the host's to run. */
		in.plan.hooks = (struct hook_plan){ .start_container = in.plan.hooks.start_container };
		expect(guest_plan_check(&in.plan, &e) == (in.plan.ns.n_join ? -ENOTSUP : 0));
		in.plan.ns.n_join = 0;
		in.streams = in.plan.proc.terminal ? STREAM_TERMINAL : STREAM_STDOUT;
		struct message m = encode(&a, in), again;

		memset(&out, 0, sizeof(out));
		expect(message_decode(&m, &b, codec_create, &out, &e) == 0 && out.streams == in.streams);
		expect_str(printed(&b, &out.plan), printed(&a, &in.plan));
		again = encode(&b, out);
		expect(again.len == m.len && memcmp(again.data, m.data, m.len) == 0);
	}
}

/* An exact copy on the heap, so that a sanitizer sees what reads beyond it. */
static int decode_copy(const void *data, size_t len)
{
	auto_arena struct arena a = { 0 };
	struct msg_create out = { 0 };
	void *copy = malloc(len ? len : 1);
	struct message m = { .type = PROTO_CREATE, .data = copy, .len = len };

	memcpy(copy, data, len);
	int r = message_decode(&m, &a, codec_create, &out, &e);

	free(copy);
	return r;
}

static void a_plan_that_is_cut_off_is_refused(void)
{
	auto_arena struct arena a = { 0 };
	struct msg_create in = { .streams = STREAM_STDOUT };

	expect(build(&a, "minimal.json", CGROUP_MODE_V2, &in.plan) == 0);
	in.plan.proc.terminal = false;
	struct message m = encode(&a, in);

	for (size_t n = 0; n < m.len; n++)
		expect(decode_copy(m.data, n) == -EPROTO);
	expect(decode_copy(m.data, m.len) == 0);
}

static void no_byte_does_harm(void)
{
	auto_arena struct arena a = { 0 };
	struct msg_create in = { .streams = STREAM_STDOUT };

	expect(build(&a, "docker.json", CGROUP_MODE_V1, &in.plan) == 0);
	in.plan.proc.terminal = false;
	struct message m = encode(&a, in);
	unsigned char *copy = malloc(m.len);
	int refused = 0;

	memcpy(copy, m.data, m.len);
	for (size_t i = 0; i < m.len; i += 3) {
		copy[i] ^= 0xff;
		refused += decode_copy(copy, m.len) < 0;
		copy[i] ^= 0xff;
	}
	expect(refused > 100);
	free(copy);
}

static void what_has_no_meaning_in_a_guest_is_refused(void)
{
	struct sec_filter filter = { .notify = true };
	struct plan p = { .ns = { .n_join = 1, .join = { { .where = "linux.namespaces[0]" } } } };

	expect(guest_plan_check(&p, &e) == -ENOTSUP);
	expect_str(e.text, "linux.namespaces[0]: a virtual machine cannot join a namespace of the host");
	p = (struct plan){ .sec = { .filter = &filter } };
	expect(guest_plan_check(&p, &e) == -ENOTSUP);
	p = (struct plan){ .net = { .n_devices = 1 } };
	expect(guest_plan_check(&p, &e) == -ENOTSUP);
	p = (struct plan){ .resctrl = { .ref = { .mount = "/sys/fs/resctrl" } } };
	expect(guest_plan_check(&p, &e) == -ENOTSUP);
	p = (struct plan){ .cgroup = { .ref = { .scope = "a.scope" } } };
	expect(guest_plan_check(&p, &e) == -ENOTSUP);
	p = (struct plan){ .proc = { .keep_fds = 1 } };
	expect(guest_plan_check(&p, &e) == -ENOTSUP);
}

TAP_MAIN(CASE(whole_plans_round_trip), CASE(a_plan_that_is_cut_off_is_refused), CASE(no_byte_does_harm),
	 CASE(what_has_no_meaning_in_a_guest_is_refused))
