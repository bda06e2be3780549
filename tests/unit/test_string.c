/* What the static program has of its own in place of libc's: at each place in a block, and up to the end of a page. */
#include "tap.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE  4096
#define SPAN  40 /* lengths and places: more than two blocks */
#define OTHER 'b'

/* A page that ends where nothing may be read. */
static char *page(void)
{
	char *p = mmap(NULL, 2ul * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || mprotect(p + PAGE, PAGE, PROT_NONE) < 0)
		return NULL;
	return p;
}

/* A string of len bytes, whose NUL is followed by `after` bytes other than zero, the last of its page. */
static char *put(char *page, size_t len, size_t after)
{
	char *s = page + PAGE - after - 1 - len;

	memset(page, 'z', PAGE);
	memset(s, 'a', len);
	s[len] = '\0';
	return s;
}

static void lengths_are_found_wherever_a_string_ends(void)
{
	char *p = page();
	unsigned wrong = !p;

	for (size_t len = 0; p && len < SPAN; len++)
		for (size_t after = 0; after < SPAN; after++)
			wrong += (strlen)(put(p, len, after)) != len;
	expect(wrong == 0);
}

/* With equal strings, ones that differ in each byte, and ones where one ends first. */
static unsigned wrong_orders(char *x, char *y, size_t len)
{
	unsigned wrong = (strcmp)(x, y) != 0;

	for (size_t i = 0; i < len; i++) {
		y[i] = OTHER;
		wrong += (strcmp)(x, y) >= 0 || (strcmp)(y, x) <= 0;
		y[i] = '\xff';
		wrong += (strcmp)(x, y) >= 0 || (strcmp)(y, x) <= 0;
		y[i] = '\0';
		wrong += (strcmp)(x, y) <= 0 || (strcmp)(y, x) >= 0;
		y[i] = 'a';
	}
	return wrong;
}

static void strings_are_ordered_by_the_first_byte_that_differs(void)
{
	char *p = page(), *q = page();
	unsigned wrong = !p || !q;

	for (size_t len = 0; p && q && len < SPAN; len++)
		for (size_t after = 0; after < SPAN; after++) {
			wrong += wrong_orders(put(p, len, after), put(q, len, 0), len);
			wrong += wrong_orders(put(p, len, after), put(q, len, SPAN - after), len);
		}
	expect(wrong == 0);
}

static void a_character_is_found_first_and_last(void)
{
	char *p = page();
	unsigned wrong = !p;

	for (size_t len = 2; p && len < SPAN; len++)
		for (size_t after = 0; after < SPAN; after++) {
			char *s = put(p, len, after);

			wrong += (strchr)(s, OTHER) != NULL || (strrchr)(s, OTHER) != NULL || (memrchr)(s, OTHER, len) != NULL;
			wrong += (strchr)(s, 'z') != NULL || (memrchr)(s, 'z', len) != NULL; /* what is around it */
			wrong += (strchr)(s, 0) != s + len || (strrchr)(s, 0) != s + len;
			wrong += (strchrnul)(s, 0) != s + len || (strchrnul)(s, OTHER) != s + len;
			s[len / 3] = s[len - 1] = OTHER;
			wrong += (strchr)(s, OTHER) != s + len / 3 || (strrchr)(s, OTHER) != s + len - 1;
			wrong += (memrchr)(s, OTHER, len) != s + len - 1;
			wrong += (memrchr)(s, OTHER, len - 1) != (len / 3 == len - 1 ? NULL : s + len / 3);
		}
	expect(wrong == 0);
}

/* Moves len bytes by `by`; what is around them must stay. */
static unsigned wrong_move(char *at, size_t len, ptrdiff_t by, bool may_overlap)
{
	unsigned char before[400], *b = (unsigned char *)at;
	unsigned wrong = 0;

	for (size_t i = 0; i < sizeof(before); i++)
		before[i] = b[i] = (unsigned char)(i * 7 + i / 256);
	void *to = at + 130 + by, *r = may_overlap ? (memmove)(to, at + 130, len) : (memcpy)(to, at + 130, len);

	wrong += r != to;
	for (size_t i = 0; i < sizeof(before); i++) {
		bool moved = (ptrdiff_t)i >= 130 + by && (ptrdiff_t)i < 130 + by + (ptrdiff_t)len;

		wrong += b[i] != before[moved ? (ptrdiff_t)i - by : (ptrdiff_t)i];
	}
	return wrong;
}

static void bytes_are_copied_wherever_they_are(void)
{
	char *p = page();
	unsigned wrong = !p;

	for (size_t len = 0; p && len < 130; len++) {
		for (ptrdiff_t by = -70; by <= 70; by++)
			wrong += wrong_move(p + PAGE - 400, len, by, true);
		wrong += wrong_move(p + PAGE - 400, len, -130, false) + wrong_move(p + PAGE - 400, len, 130, false);
	}
	expect(wrong == 0);
}

static bool has_value(const char *name, const char *value)
{
	const char *has = getenv(name);

	return has && strcmp(has, value) == 0;
}

static void variables_are_found_by_their_whole_name(void)
{
	char text[][8] = { "ABC", "ABCD=1", "AB=2", "ABC=3", "ABC=4", "=5" };
	char *none[] = { NULL }, *some[] = { text[0], text[1], text[2], text[3], text[4], text[5], NULL };
	char **before = environ;

	environ = some;
	expect(has_value("AB", "2"));
	expect(has_value("ABC", "3"));
	expect(has_value("ABCD", "1"));
	expect(!getenv("A") && !getenv("ABCDE") && !getenv("B"));
	environ = none;
	expect(!getenv("AB"));
	environ = NULL;
	expect(!getenv("AB"));
	environ = before;
}

static void a_system_call_gets_all_its_arguments(void)
{
	char *p = page();
	long r = syscall(SYS_mmap, p, (size_t)PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0L);

	expect(p && r == (long)p);
	errno = 0;
	expect(syscall(SYS_close, -1) == -1 && errno == EBADF);
	errno = 0;
	expect(syscall(SYS_getpid) == getpid() && errno == 0);
}

TAP_MAIN(CASE(lengths_are_found_wherever_a_string_ends), CASE(strings_are_ordered_by_the_first_byte_that_differs),
	 CASE(a_character_is_found_first_and_last), CASE(bytes_are_copied_wherever_they_are),
	 CASE(variables_are_found_by_their_whole_name), CASE(a_system_call_gets_all_its_arguments))
