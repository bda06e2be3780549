/* relay.h - bytes between a connection and a pipe or terminal, in a loop over poll(2)
 *
 * The connection is a socket whose other side is hostile: whoever shares it could have it block again, so nothing relies on that. */
#pragma once
#include "hwvirt-sandbox/proto/message.h"

#include <poll.h>

struct relay {
	uint32_t proc, stream;
	int from, to;     /* owned, non-blocking; -1: free */
	bool to_socket;   /* its end is a half-close; else from is the socket */
	int at;           /* in the poll set, of from; of to: one more. -1: not in it */
	unsigned char *buf;
	size_t off, len;
};
enum { RELAY_MAX = 4 * SESSION_PROCS_MAX };
struct relays { struct relay v[RELAY_MAX]; };

/* Makes one of from and to, which it owns from now on, also on failure. EBUSY: there are too many. */
must_check int relay_add(struct relays *all, uint32_t proc, uint32_t stream, int from, int to, bool to_socket, struct err *e);
/* Moves what can be moved without blocking; ends the relay when a side has ended. */
void relay_step(struct relay *r);
void relay_close(struct relay *r);
static inline bool relay_used(const struct relay *r)
{
	return r->from >= 0;
}
/* Adds what the relays wait for to a poll set of n entries, and steps those for which something has come: relays_watch() puts at most
 * 2 * RELAY_MAX entries at v and returns how many; v0 is the beginning of the whole set. */
size_t relays_watch(struct relays *all, struct pollfd *v0, size_t n);
void relays_step(struct relays *all, const struct pollfd *v0);
void relays_init(struct relays *all);
