#include "oci/json.h"
#include "oci/state.h"
#include "tap.h"

#include <errno.h>

static const char full[] =
	"{\"version\":1,\"ociVersion\":\"1.3.0\",\"id\":\"c1\",\"bundle\":\"/b\",\"rootfs\":\"/b/rootfs\",\"backend\":\"os\","
	"\"created\":\"2026-01-02T03:04:05.000000006Z\",\"bootId\":\"b-o-o-t\","
	"\"cgroupManager\":\"cgroupfs\",\"cgroupMode\":\"hybrid\",\"cgroupPath\":\"/x\","
	"\"cgroupScope\":\"s.scope\",\"ownPidNamespace\":true,\"plain\":true,"
	"\"annotations\":{\"k/é\":\"v \\\"quoted\\\"\",\"e\":\"\"},"
	"\"status\":\"created\",\"pid\":4242,\"startTime\":18446744073709551615,"
	"\"cgroupDirs\":[{\"controllers\":\"memory\",\"mount\":\"/sys/fs/cgroup/memory\","
	"\"path\":\"/x\",\"ino\":18446744073709551614},{\"path\":\"/y\",\"v2\":true,\"ino\":0}],"
	"\"resctrl\":{\"mount\":\"/r\",\"group\":\"/r/g\",\"monGroup\":\"/r/g/mon_groups/c1\",\"ownsMonGroup\":true}}";

static int parse(struct arena *a, const char *text, const struct oci_state **s, struct err *e)
{
	return oci_state_parse(a, text, strlen(text), s, e);
}

static void every_member_survives_a_round_trip(void)
{
	auto_arena struct arena a = { 0 };
	struct oci_state_text b = { .text = STRBUF(&a) };
	const struct oci_state *s = NULL;
	struct err e;

	expect(parse(&a, full, &s, &e) == 0);
	if (!s)
		return;
	expect(s->pid == 4242 && s->start_time == UINT64_MAX && s->own_pid_ns && !s->terminal && s->plain);
	expect(s->cgroup_dirs.n == 2 && s->cgroup_dirs.v[1].v2 && !s->cgroup_dirs.v[1].controllers);
	expect_str(s->cgroup_dirs.v[0].mount, "/sys/fs/cgroup/memory");
	expect(s->resctrl && !s->resctrl->owns_group && s->resctrl->owns_mon_group);
	expect(s->annotations.n == 2);
	expect_str(s->annotations.v[0].value, "v \"quoted\"");
	oci_state_encode(s, &b);
	expect_str(strbuf_str(&b.text), full);
}

static void the_least_state_encodes_and_parses(void)
{
	auto_arena struct arena a = { 0 };
	struct oci_state_text b = { .text = STRBUF(&a) };
	const struct oci_state least = { .version = 1, .id = "x", .bundle = "/b", .status = "creating" }, *s = NULL;
	struct err e;

	oci_state_encode(&least, &b);
	expect(oci_state_parse(&a, b.text.text, b.text.len, &s, &e) == 0);
	expect(s && s->pid == 0 && !s->rootfs && s->cgroup_dirs.n == 0 && !s->resctrl && s->annotations.n == 0);
}

static void expect_encoded_as_new(const struct oci_state *s, struct oci_state_text *again, struct arena *a)
{
	struct oci_state_text once = { .text = STRBUF(a) };

	oci_state_encode(s, again);
	oci_state_encode(s, &once);
	expect_str(strbuf_str(&again->text), strbuf_str(&once.text));
	expect(again->text.len == once.text.len);
}

static void what_changed_is_encoded_again(void)
{
	auto_arena struct arena a = { 0 };
	struct oci_state_text kept = { .text = STRBUF(&a) };
	struct oci_state_cgroup dir = { .path = "/long/enough/to/make/it/grow" };
	struct oci_state s = { .version = 1, .id = "x", .bundle = "/b", .status = "creating" };

	expect_encoded_as_new(&s, &kept, &a);
	s.cgroup_dirs = (struct oci_state_cgroup_list){ &dir, 1 };
	expect_encoded_as_new(&s, &kept, &a);
	s.status = "running";
	s.pid = 7;
	s.cgroup_dirs.n = 0;
	s.cgroup_dirs.v = NULL;
	expect_encoded_as_new(&s, &kept, &a);
	s.bundle = "/c";
	expect_encoded_as_new(&s, &kept, &a);
	s.annotations = (struct pairs){ &(struct pair){ "k", "v" }, 1 };
	expect_encoded_as_new(&s, &kept, &a);
}

static void a_newer_document_is_refused_before_its_members_are_looked_at(void)
{
	auto_arena struct arena a = { 0 };
	const struct oci_state *s = NULL;
	struct err e;

	expect(parse(&a, "{\"id\": 7, \"version\": 2}", &s, &e) == -ENOTSUP);
	expect_str(e.text, "version 2 of the state document is newer than this program knows (1)");
	expect(!s);
}

static void damaged_documents_are_refused(void)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{ "", "line 1: malformed JSON: the text ends too early" },
		{ "[]", "line 1: document: expected object, got array" },
		{ "{}", "line 1: document: member \"version\" is required" },
		{ "{\"version\": -1}", "line 1: version: -1 is out of range, 0 to 4294967295" },
		{ "{\"version\": 1}", "line 1: document: member \"id\" is required" },
		{ "{\"version\": 1, \"id\": \"\"}", "line 1: id: must not be empty" },
		{ "{\"version\": 1, \"id\": \"x\", \"bundle\": \"b\"}", "line 1: bundle: \"b\" is not an absolute path" },
		{ "{\"version\": 1, \"id\": \"x\", \"bundle\": \"/b\"}", "line 1: document: member \"status\" is required" },
		{ "{\"version\": 1, \"id\": \"x\", \"bundle\": \"/b\", \"status\": \"stopped\"}",
		  "line 1: status: unknown value \"stopped\"" },
		{ "{\"version\": 1, \"id\": \"x\", \"bundle\": \"/b\", \"status\": \"running\", \"pid\": -1}",
		  "line 1: pid: -1 is no process id" },
		{ "{\"version\": 1, \"id\": \"x\", \"bundle\": \"/b\", \"status\": \"running\", \"pid\": 2147483648}",
		  "line 1: pid: 2147483648 is out of range, -2147483648 to 2147483647" },
		{ "{\"version\": 1, \"id\": \"x\", \"bundle\": \"/b\", \"status\": \"running\", \"cgroupDirs\": [{}]}",
		  "line 1: cgroupDirs[0]: member \"path\" is required" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		auto_arena struct arena a = { 0 };
		const struct oci_state *s = NULL;
		struct err e = { 0 };

		expect(parse(&a, cases[i].text, &s, &e) == -EINVAL);
		expect_str(e.text, cases[i].error);
		expect(!s);
	}
}

static void a_truncated_document_never_parses(void)
{
	for (size_t len = 0; len < sizeof(full) - 1; len++) {
		auto_arena struct arena a = { 0 };
		const struct oci_state *s;
		struct err e;

		expect(oci_state_parse(&a, full, len, &s, &e) == -EINVAL);
	}
}

static const char *for_hook(struct arena *a, const char *status, int pid, const struct pairs *annotations)
{
	struct strbuf b = STRBUF(a);

	oci_state_for_hook("1.3.0", "c1", status, pid, "/b/x", annotations, &b);
	return strbuf_str(&b);
}

static void hooks_get_one_line_with_plain_slashes(void)
{
	auto_arena struct arena a = { 0 };
	struct pair one = { "org.x/y", "line\nbreak" };
	const struct pairs annotations = { &one, 1 }, none = { NULL, 0 };

	expect_str(for_hook(&a, "creating", 12, &annotations),
		   "{\"ociVersion\":\"1.3.0\",\"id\":\"c1\",\"status\":\"creating\",\"pid\":12,"
		   "\"bundle\":\"/b/x\",\"annotations\":{\"org.x/y\":\"line\\nbreak\"}}");
	expect_str(for_hook(&a, "stopped", 0, &none),
		   "{\"ociVersion\":\"1.3.0\",\"id\":\"c1\",\"status\":\"stopped\",\"bundle\":\"/b/x\"}");
	expect_str(for_hook(&a, "creating", 0, NULL),
		   "{\"ociVersion\":\"1.3.0\",\"id\":\"c1\",\"status\":\"creating\",\"pid\":0,\"bundle\":\"/b/x\"}");
}

TAP_MAIN(CASE(every_member_survives_a_round_trip), CASE(the_least_state_encodes_and_parses), CASE(what_changed_is_encoded_again),
	 CASE(a_newer_document_is_refused_before_its_members_are_looked_at), CASE(damaged_documents_are_refused),
	 CASE(a_truncated_document_never_parses), CASE(hooks_get_one_line_with_plain_slashes))
