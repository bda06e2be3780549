/* iov.c - one walk over segments; what is done with a part is the caller's */
#include "hwvirt-sandbox/iov.h"

#include <stdint.h>
#include <string.h>

struct walk {
	const struct iovec *v;
	size_t n, offset, left;
};

/* The next part that lies in one segment: its length is 0 at the end. */
static struct iovec next_part(struct walk *w)
{
	struct iovec part = { 0 };

	for (; w->n && w->left && part.iov_len == 0; w->v++, w->n--) {
		size_t have = w->v->iov_len > w->offset ? w->v->iov_len - w->offset : 0;

		if (have) {
			part.iov_base = (uint8_t *)w->v->iov_base + w->offset;
			part.iov_len = have < w->left ? have : w->left;
		}
		w->offset -= have ? w->offset : w->v->iov_len;
	}
	w->left -= part.iov_len;
	return part;
}

size_t iov_total(const struct iovec *v, size_t n)
{
	size_t len = 0;

	for (size_t i = 0; i < n; i++)
		len += v[i].iov_len;
	return len;
}

size_t iov_window(const struct iovec *v, size_t n, size_t offset, size_t len, struct iovec *out, size_t max)
{
	struct walk w = { v, n, offset, len };
	size_t used = 0;

	while (used < max) {
		out[used] = next_part(&w);
		if (out[used].iov_len == 0)
			break;
		used++;
	}
	return used;
}

size_t iov_read(const struct iovec *v, size_t n, size_t offset, void *to, size_t len)
{
	struct walk w = { v, n, offset, len };
	size_t done = 0;

	for (struct iovec p = next_part(&w); p.iov_len; p = next_part(&w)) {
		memcpy((uint8_t *)to + done, p.iov_base, p.iov_len);
		done += p.iov_len;
	}
	return done;
}

size_t iov_write(const struct iovec *v, size_t n, size_t offset, const void *from, size_t len)
{
	struct walk w = { v, n, offset, len };
	size_t done = 0;

	for (struct iovec p = next_part(&w); p.iov_len; p = next_part(&w)) {
		memcpy(p.iov_base, (const uint8_t *)from + done, p.iov_len);
		done += p.iov_len;
	}
	return done;
}
