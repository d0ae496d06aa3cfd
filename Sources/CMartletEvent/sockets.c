#define _GNU_SOURCE
#include "sockets.h"
#include "CMartletEvent.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

int martlet_open_listener(const char *host, uint16_t port, int backlog, char *reason, size_t reason_size) {
    char service[8];
    snprintf(service, sizeof service, "%u", port);
    struct addrinfo hints = {0}, *found = 0;
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    int code = getaddrinfo(host[0] ? host : 0, service, &hints, &found);
    if (code) {
        snprintf(reason, reason_size, "%s", code == EAI_SYSTEM ? strerror(errno) : gai_strerror(code));
        return -1;
    }
    int error = EADDRNOTAVAIL, listening = -1;
    for (struct addrinfo *each = found; each && listening < 0; each = each->ai_next) {
        int descriptor = socket(each->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (descriptor < 0) {
            error = errno;
            continue;
        }
        int yes = 1;
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
        if (bind(descriptor, each->ai_addr, each->ai_addrlen) == 0 && listen(descriptor, backlog) == 0) {
            listening = descriptor;
        } else {
            error = errno;
            close(descriptor);
        }
    }
    freeaddrinfo(found);
    if (listening < 0) snprintf(reason, reason_size, "%s", strerror(error));
    return listening;
}

static uint16_t port_in(const struct sockaddr_storage *address) {
    return ntohs(address->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)address)->sin6_port
                                                : ((const struct sockaddr_in *)address)->sin_port);
}

uint16_t martlet_port_of(int descriptor) {
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    if (getsockname(descriptor, (struct sockaddr *)&address, &size)) return 0;
    return port_in(&address);
}

int martlet_tcp_listen(const char *host, uint16_t port, int backlog, char *reason, size_t reason_size) {
    return martlet_open_listener(host, port, backlog, reason, reason_size);
}

uint16_t martlet_tcp_port(int descriptor) { return martlet_port_of(descriptor); }

int martlet_tcp_accept(int listening) {
    int descriptor;
    do descriptor = accept4(listening, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC);
    while (descriptor < 0 && errno == EINTR);
    if (descriptor < 0) return -errno;
    int yes = 1;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
    return descriptor;
}

int martlet_tcp_connect(const char *host, uint16_t port, char *reason, size_t reason_size) {
    char service[8];
    snprintf(service, sizeof service, "%u", port);
    struct addrinfo hints = {0}, *found = 0;
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV;
    int code = getaddrinfo(host, service, &hints, &found);
    if (code) {
        snprintf(reason, reason_size, "%s", code == EAI_SYSTEM ? strerror(errno) : gai_strerror(code));
        return -1;
    }
    int error = EADDRNOTAVAIL, connected = -1;
    for (struct addrinfo *each = found; each && connected < 0; each = each->ai_next) {
        int descriptor = socket(each->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (descriptor < 0) {
            error = errno;
            continue;
        }
        if (connect(descriptor, each->ai_addr, each->ai_addrlen) == 0) {
            connected = descriptor;
        } else {
            error = errno;
            close(descriptor);
        }
    }
    freeaddrinfo(found);
    if (connected < 0) {
        snprintf(reason, reason_size, "%s", strerror(error));
        return -1;
    }
    int yes = 1;
    setsockopt(connected, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return connected;
}

void martlet_tcp_set_timeout(int descriptor, int64_t micros) {
    struct timeval limit = {micros / 1000000, micros % 1000000};
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

int martlet_tcp_address(int descriptor, int peer, char *host, size_t host_size, uint16_t *port) {
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    int code = peer ? getpeername(descriptor, (struct sockaddr *)&address, &size)
                    : getsockname(descriptor, (struct sockaddr *)&address, &size);
    if (code) return -errno;
    *port = port_in(&address);
    const void *number = address.ss_family == AF_INET6 ? (const void *)&((struct sockaddr_in6 *)&address)->sin6_addr
                                                       : (const void *)&((struct sockaddr_in *)&address)->sin_addr;
    if (!inet_ntop(address.ss_family, number, host, (socklen_t)host_size)) return -errno;
    // An IPv4 client of an IPv6 socket is shown as what it is.
    if (!strncmp(host, "::ffff:", 7) && strchr(host, '.')) memmove(host, host + 7, strlen(host + 7) + 1);
    return 0;
}

int64_t martlet_tcp_receive(int descriptor, void *first, size_t first_size, void *second, size_t second_size) {
    struct iovec parts[2] = {{first, first_size}, {second, second_size}};
    struct msghdr message = {0};
    message.msg_iov = parts;
    message.msg_iovlen = second_size ? 2 : 1;
    ssize_t count;
    do count = recvmsg(descriptor, &message, 0);
    while (count < 0 && errno == EINTR);
    return count < 0 ? -errno : count;
}

int64_t martlet_tcp_send(int descriptor, const martlet_piece *pieces, int count) {
    struct msghdr message = {0};
    // The two structures are laid out alike; checked below.
    message.msg_iov = (struct iovec *)pieces;
    message.msg_iovlen = (size_t)count;
    ssize_t sent;
    do sent = sendmsg(descriptor, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}
_Static_assert(sizeof(martlet_piece) == sizeof(struct iovec), "a piece is an iovec");
_Static_assert(offsetof(martlet_piece, bytes) == offsetof(struct iovec, iov_base), "a piece is an iovec");
_Static_assert(offsetof(martlet_piece, count) == offsetof(struct iovec, iov_len), "a piece is an iovec");

void martlet_tcp_finish_sending(int descriptor) { shutdown(descriptor, SHUT_WR); }

void martlet_tcp_close(int descriptor) { close(descriptor); }

int martlet_is_loopback(const char *host) {
    struct addrinfo hints = {0}, *found = 0;
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    if (!host[0] || getaddrinfo(host, 0, &hints, &found)) return 0;
    int all = found != 0;
    for (struct addrinfo *each = found; each; each = each->ai_next) {
        if (each->ai_family == AF_INET) {
            all &= (ntohl(((struct sockaddr_in *)each->ai_addr)->sin_addr.s_addr) >> 24) == 127;
        } else if (each->ai_family == AF_INET6) {
            all &= IN6_IS_ADDR_LOOPBACK(&((struct sockaddr_in6 *)each->ai_addr)->sin6_addr);
        } else {
            all = 0;
        }
    }
    freeaddrinfo(found);
    return all;
}

uint64_t martlet_raise_descriptor_limit(uint64_t wanted) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit)) return 0;
    if (limit.rlim_cur < wanted) {
        struct rlimit raised = limit;
        if (raised.rlim_max < wanted) raised.rlim_max = wanted;
        raised.rlim_cur = wanted;
        // Only a privileged process lifts the hard limit; otherwise take what there is.
        if (setrlimit(RLIMIT_NOFILE, &raised)) {
            raised = limit;
            raised.rlim_cur = raised.rlim_max;
            setrlimit(RLIMIT_NOFILE, &raised);
        }
        getrlimit(RLIMIT_NOFILE, &limit);
    }
    return limit.rlim_cur;
}

int martlet_spare_descriptor(void) { return open("/dev/null", O_RDONLY | O_CLOEXEC); }
