#ifndef C_MARTLET_EVENT_SOCKETS_H
#define C_MARTLET_EVENT_SOCKETS_H
#include <stddef.h>
#include <stdint.h>

/// A listening socket that does not block, or −1 with the reason in words.
int martlet_open_listener(const char *host, uint16_t port, int backlog, char *reason, size_t reason_size);
/// The port that a socket is bound to; 0 if unknown.
uint16_t martlet_port_of(int descriptor);

#endif
