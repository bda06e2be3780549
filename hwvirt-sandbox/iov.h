/* iov.h - bytes that lie in several segments, such as a request in guest memory */
#pragma once
#include <stddef.h>
#include <sys/uio.h>

size_t iov_total(const struct iovec *v, size_t n);

/* The segments of the bytes from offset on, at most len bytes and at most max segments. Returns how many were filled in. */
size_t iov_window(const struct iovec *v, size_t n, size_t offset, size_t len, struct iovec *out, size_t max);

/* Copy between a buffer and the bytes from offset on; less than len where they end before. Return how many were copied. */
size_t iov_read(const struct iovec *v, size_t n, size_t offset, void *to, size_t len);
size_t iov_write(const struct iovec *v, size_t n, size_t offset, const void *from, size_t len);
