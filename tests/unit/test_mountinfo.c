#include "base/mountinfo.h"
#include "tap.h"

#include <stdio.h>

static char text[256];

static bool parse(const char *line, struct mount_line *out)
{
	snprintf(text, sizeof(text), "%s", line);
	return mountinfo_parse(text, out);
}

static void a_line_has_its_fields_with_and_without_tags(void)
{
	struct mount_line m;

	expect(parse("36 35 98:0 /mnt1 /mnt2 rw,noatime - ext3 /dev/root rw,errors=continue", &m));
	expect(m.id == 36 && m.parent == 35);
	expect_str(m.root, "/mnt1");
	expect_str(m.point, "/mnt2");
	expect_str(m.type, "ext3");
	expect_str(m.options, "rw,errors=continue");
	expect(parse("4000000000 35 0:32 / /a rw shared:3 master:1 - cgroup2 cgroup2 rw,nsdelegate", &m));
	expect(m.id == 4000000000);
	expect_str(m.type, "cgroup2");
	expect_str(m.options, "rw,nsdelegate");
}

static void names_lose_their_escapes_and_nothing_else(void)
{
	struct mount_line m;

	expect(parse("1 2 0:3 /with\\011tab /a\\040-\\040b\\134c\\8\\04 rw - tmpfs my\\040source rw", &m));
	expect_str(m.root, "/with\ttab");
	expect_str(m.point, "/a - b\\c\\8\\04");
}

static void a_source_may_be_empty(void)
{
	struct mount_line m;

	expect(parse("1 2 0:3 / /a rw - cgroup2  rw,favordynmods", &m));
	expect_str(m.type, "cgroup2");
	expect_str(m.options, "rw,favordynmods");
}

static void what_is_no_such_line_is_refused(void)
{
	struct mount_line m;

	expect(!parse("", &m));
	expect(!parse("1 2 0:3 / /a rw", &m));
	expect(!parse("1 2 0:3 / /a - tmpfs tmpfs rw", &m));
	expect(!parse("1 2 0:3 / /a rw - tmpfs tmpfs", &m));
	expect(!parse("x 2 0:3 / /a rw - tmpfs tmpfs rw", &m));
	expect(!parse("1 2x 0:3 / /a rw - tmpfs tmpfs rw", &m));
}

TAP_MAIN(CASE(a_line_has_its_fields_with_and_without_tags), CASE(names_lose_their_escapes_and_nothing_else),
	 CASE(a_source_may_be_empty), CASE(what_is_no_such_line_is_refused))
