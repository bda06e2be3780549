/* serial.c - the registers of a 16550 of which the transmitter is always empty and the receiver too */
#include "hwvirt-sandbox/serial.h"

#include <poll.h>
#include <unistd.h>

enum { DATA, IER, IIR_FCR, LCR, MCR, LSR, MSR, SCRATCH };
enum { IER_SENT = 2, IIR_NONE = 1, IIR_SENT = 2, IIR_FIFO = 0xc0, LCR_DIVISOR = 0x80, MCR_LOOP = 0x10, LSR_EMPTY = 0x60 };
enum { PATIENCE_MS = 1000 };

void serial_init(struct serial *s, int fd, void (*irq)(void *arg), void *irq_arg)
{
	*s = (struct serial){ .lock = PTHREAD_MUTEX_INITIALIZER, .fd = fd, .irq = irq, .irq_arg = irq_arg };
}

/* A reader that does not read may hold the guest up for a while, but not for ever: a pipe that is ready takes as much as a line. */
static void flush(struct serial *s)
{
	struct pollfd p = { .fd = s->fd, .events = POLLOUT };
	ssize_t n;

	if (s->n && poll(&p, 1, PATIENCE_MS) > 0) {
		n = write(s->fd, s->line, s->n);
		(void)n; /* what it does not take is lost */
	}
	s->n = 0;
}

void serial_flush(struct serial *s)
{
	pthread_mutex_lock(&s->lock);
	flush(s);
	pthread_mutex_unlock(&s->lock);
}

static void send(struct serial *s, char c)
{
	s->line[s->n++] = c;
	if (c == '\n' || s->n == sizeof(s->line))
		flush(s);
}

/* The transmitter is empty again: said once for each byte, and when the driver begins to ask for it. */
static void tell_sent(struct serial *s)
{
	if (!(s->ier & IER_SENT))
		return;
	s->sent = true;
	if (s->irq)
		s->irq(s->irq_arg);
}

static uint8_t interrupt_id(struct serial *s)
{
	uint8_t id = s->sent ? IIR_SENT : IIR_NONE;

	s->sent = false;
	return id | (s->fifo ? IIR_FIFO : 0);
}

/* Looped back, the outputs for the modem are its inputs: RTS is CTS, DTR is DSR, OUT1 is RI, OUT2 is DCD. Else somebody is there.
 */
static uint8_t modem(const struct serial *s)
{
	if (!(s->mcr & MCR_LOOP))
		return 0xb0;
	return (uint8_t)((s->mcr & 1) << 5 | (s->mcr & 2) << 3 | (s->mcr & 4) << 4 | (s->mcr & 8) << 4);
}

static uint8_t get(struct serial *s, uint64_t offset)
{
	switch (offset) {
	case DATA:
		return s->lcr & LCR_DIVISOR ? s->divisor[0] : 0;
	case IER:
		return s->lcr & LCR_DIVISOR ? s->divisor[1] : s->ier;
	case IIR_FCR:
		return interrupt_id(s);
	case LCR:
		return s->lcr;
	case MCR:
		return s->mcr;
	case LSR:
		return LSR_EMPTY;
	case MSR:
		return modem(s);
	default:
		return s->scratch;
	}
}

static void set_low(struct serial *s, uint64_t offset, uint8_t v)
{
	if (s->lcr & LCR_DIVISOR) {
		s->divisor[offset] = v;
	} else if (offset == IER) {
		s->ier = v & 0xf;
		tell_sent(s);
	} else {
		if (!(s->mcr & MCR_LOOP))
			send(s, (char)v);
		tell_sent(s);
	}
}

static void set(struct serial *s, uint64_t offset, uint8_t v)
{
	switch (offset) {
	case DATA:
	case IER:
		set_low(s, offset, v);
		return;
	case IIR_FCR:
		s->fifo = v & 1;
		return;
	case LCR:
		s->lcr = v;
		return;
	case MCR:
		s->mcr = v & 0x1f;
		return;
	case SCRATCH:
		s->scratch = v;
		return;
	}
}

uint64_t serial_read(void *arg, uint64_t offset, unsigned width)
{
	struct serial *s = arg;
	uint8_t v;

	if (width != 1)
		return UINT64_MAX;
	pthread_mutex_lock(&s->lock);
	v = get(s, offset);
	pthread_mutex_unlock(&s->lock);
	return v;
}

void serial_write(void *arg, uint64_t offset, unsigned width, uint64_t value)
{
	struct serial *s = arg;

	if (width != 1)
		return;
	pthread_mutex_lock(&s->lock);
	set(s, offset, (uint8_t)value);
	pthread_mutex_unlock(&s->lock);
}
