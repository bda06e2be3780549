/* serial.h - a 16550 that only sends, for what a guest kernel says while it is being debugged
 *
 * What is sent goes to a descriptor, a line at a time; there is nothing to receive. Any thread may call.
 */
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SERIAL_PORT = 0x3f8, SERIAL_PORTS = 8, SERIAL_IRQ = 4, SERIAL_LINE_MAX = 256 };

struct serial {
	pthread_mutex_t lock;
	int fd;                 /* borrowed; what it does not take within a second is lost */
	void (*irq)(void *arg); /* raises the line, an edge; may be NULL */
	void *irq_arg;
	uint8_t ier, lcr, mcr, scratch, divisor[2];
	bool fifo, sent; /* sent: the interrupt for an empty transmitter waits to be read */
	size_t n;
	char line[SERIAL_LINE_MAX];
};

void serial_init(struct serial *s, int fd, void (*irq)(void *arg), void *irq_arg);

/* Writes out what has no newline yet. */
void serial_flush(struct serial *s);

/* Handlers for a bus_range; arg is the struct serial. */
uint64_t serial_read(void *arg, uint64_t offset, unsigned width);
void serial_write(void *arg, uint64_t offset, unsigned width, uint64_t value);
