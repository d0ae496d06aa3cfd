#define _GNU_SOURCE
#include "CMartletEdit.h"
#include <editline/readline.h>
#include <errno.h>
#include <netdb.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// Set only while libedit waits for keys, so that a signal that comes then may leave it.
static volatile sig_atomic_t is_reading;
static sigjmp_buf before_line;

char *martlet_edit_line(const char *prompt, int *is_interrupted) {
    *is_interrupted = 0;
    if (sigsetjmp(before_line, 1)) {
        is_reading = 0;
        rl_deprep_terminal();
        fputc('\n', stdout);
        fflush(stdout);
        *is_interrupted = 1;
        return 0;
    }
    is_reading = 1;
    char *line = readline(prompt);
    is_reading = 0;
    return line;
}

void martlet_edit_remember(const char *line) { add_history(line); }

void martlet_edit_load(const char *path) {
    using_history();
    read_history(path);
}

void martlet_edit_save(const char *path, int lines) {
    stifle_history(lines);
    write_history(path);
}

static martlet_edit_completer completer;
static void *completer_context;
static char **offered;
static size_t offered_count, offered_room, offered_next;

void martlet_edit_offer(const char *candidate) {
    if (offered_count == offered_room) {
        size_t room = offered_room ? 2 * offered_room : 64;
        char **grown = realloc(offered, room * sizeof *grown);
        if (!grown) return;
        offered = grown;
        offered_room = room;
    }
    char *copy = strdup(candidate);
    if (copy) offered[offered_count++] = copy;
}

// What it gives is freed by libedit.
static char *next_offered(const char *word, int state) {
    (void)word;
    if (state == 0) offered_next = 0;
    return offered_next < offered_count ? offered[offered_next++] : 0;
}

static char **attempt(const char *word, int start, int end) {
    (void)end;
    // Where nothing fits, names of files do not either.
    rl_attempted_completion_over = 1;
    offered_count = 0;
    completer(completer_context, rl_line_buffer, start, word);
    return offered_count ? rl_completion_matches(word, next_offered) : 0;
}

void martlet_edit_complete_with(martlet_edit_completer given, void *context) {
    completer = given;
    completer_context = context;
    rl_attempted_completion_function = attempt;
    rl_basic_word_break_characters = " \t\n,;()=<>+-*/|:";
}

static struct sockaddr_storage cancel_address;
static socklen_t cancel_address_size;
static unsigned char cancel_bytes[64];
static size_t cancel_count;

// Nothing is called here that a handler may not call.
static void interrupted(int number) {
    (void)number;
    int kept = errno;
    if (is_reading) siglongjmp(before_line, 1);
    int descriptor = socket(cancel_address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor >= 0) {
        if (connect(descriptor, (struct sockaddr *)&cancel_address, cancel_address_size) == 0) {
            if (send(descriptor, cancel_bytes, cancel_count, MSG_NOSIGNAL) < 0) {}
        }
        close(descriptor);
    }
    errno = kept;
}

int martlet_edit_interrupt_sends(const char *host, uint16_t port, const void *bytes, size_t count) {
    char service[8];
    snprintf(service, sizeof service, "%u", port);
    struct addrinfo hints = {0}, *found = 0;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV;
    if (count > sizeof cancel_bytes || getaddrinfo(host, service, &hints, &found)) return -1;
    memcpy(&cancel_address, found->ai_addr, found->ai_addrlen);
    cancel_address_size = found->ai_addrlen;
    freeaddrinfo(found);
    memcpy(cancel_bytes, bytes, count);
    cancel_count = count;
    // Ours, not libedit's own.
    rl_catch_signals = 0;
    struct sigaction action = {0};
    action.sa_handler = interrupted;
    action.sa_flags = SA_RESTART;
    if (sigaction(SIGINT, &action, 0) != 0) return -1;
    // Whoever started this process may have left it blocked in what it inherited.
    sigset_t interrupt;
    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    return pthread_sigmask(SIG_UNBLOCK, &interrupt, 0) == 0 ? 0 : -1;
}
