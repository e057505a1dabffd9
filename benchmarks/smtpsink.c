/* An SMTP server that takes every message and forgets it: one process, epoll, one write for each read.
 *
 * usage: smtpsink PORT [REFUSAL [LOGIN]]
 *
 * REFUSAL is the whole reply to every RCPT of a path that begins with "<refused"; LOGIN is the base64 of AUTH PLAIN
 * that is demanded before MAIL. HELP tells how many messages were taken, so that a bench can count what arrived.
 * It believes what it hears: it is for measuring on loopback, and for nothing else. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CARRY = 4, PIECE = 262144, LINE = 4096, REPLIES = 65536 };

struct client {
    int fd, in_message, in_challenge, logged_in, line_length;
    char line[LINE], carry[CARRY]; /* the last octets of the piece before: the end of a message may lie across two */
};

static const char *refusal = "", *login = "";
static unsigned long messages;
static char replies[REPLIES];
static int replies_length, poller;

static void say(const char *reply) {
    int length = strlen(reply);
    if (replies_length + length > REPLIES) return; /* a client that pipelines so much is not one of ours */
    memcpy(replies + replies_length, reply, length);
    replies_length += length;
}

static int starts(const char *line, const char *verb) { return !strncasecmp(line, verb, strlen(verb)); }

static void check_login(struct client *client, const char *given) {
    client->in_challenge = 0;
    client->logged_in = !strcmp(given, login);
    say(client->logged_in ? "235 2.7.0 Welcome\r\n" : "535 5.7.8 Bad login\r\n");
}

static void say_ehlo(void) {
    say("250-sink.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SIZE\r\n250-ENHANCEDSTATUSCODES\r\n");
    if (*login) say("250-AUTH PLAIN\r\n");
    say("250 SMTPUTF8\r\n");
}

/* Answers one command; returns whether the client is done. */
static int command(struct client *client, const char *line) {
    char help[64];
    if (client->in_challenge) check_login(client, line);
    else if (starts(line, "EHLO")) say_ehlo();
    else if (starts(line, "AUTH PLAIN ")) check_login(client, line + 11);
    else if (starts(line, "AUTH PLAIN")) { client->in_challenge = 1; say("334 \r\n"); }
    else if (starts(line, "MAIL") && *login && !client->logged_in) say("530 5.7.0 Authentication required\r\n");
    else if (starts(line, "RCPT TO:<refused") && *refusal) { say(refusal); say("\r\n"); }
    else if (starts(line, "DATA")) { client->in_message = 1; say("354 Go ahead\r\n"); }
    else if (starts(line, "HELP")) { snprintf(help, sizeof help, "214 %lu messages\r\n", messages); say(help); }
    else if (starts(line, "QUIT")) { say("221 2.0.0 Bye\r\n"); return 1; }
    else say("250 2.0.0 Ok\r\n");
    return 0;
}

/* Takes one command line, or the part of it that has come; returns where it ends, NULL where the client is done. */
static char *take_line(struct client *client, char *from, char *end) {
    char *newline = memchr(from, '\n', end - from), *next = newline ? newline + 1 : end;
    if (client->line_length + (next - from) >= LINE) return NULL;
    memcpy(client->line + client->line_length, from, next - from);
    client->line_length += next - from;
    if (!newline) return end;
    client->line[client->line_length] = 0;
    client->line[strcspn(client->line, "\r\n")] = 0;
    client->line_length = 0;
    return command(client, client->line) ? NULL : next;
}

/* Passes over message data; returns where the message ends. The four octets before `from` are known. */
static char *take_message(struct client *client, char *from, char *end) {
    char *dot = memmem(from - CARRY, end - from + CARRY, "\r\n.\r\n", 5);
    if (!dot) return end;
    client->in_message = 0;
    messages++;
    say("250 2.0.0 Ok\r\n");
    return dot + 5;
}

/* Takes what has come; returns whether the client is done. */
static int take(struct client *client) {
    static char piece[CARRY + PIECE];
    memcpy(piece, client->carry, CARRY);
    ssize_t length = read(client->fd, piece + CARRY, PIECE);
    if (length <= 0) return 1;
    char *at = piece + CARRY, *end = at + length;
    replies_length = 0;
    while (at && at < end) at = client->in_message ? take_message(client, at, end) : take_line(client, at, end);
    memcpy(client->carry, end - CARRY, CARRY);
    return (replies_length && write(client->fd, replies, replies_length) < 0) || !at;
}

static void welcome(int listener) {
    int fd = accept(listener, NULL, NULL), on = 1;
    if (fd < 0) return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct client *client = calloc(1, sizeof *client);
    client->fd = fd;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
    if (write(fd, "220 sink.example ESMTP\r\n", 24) < 0) return; /* it has gone: the next read says so */
}

static int listen_on(int port) {
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct sockaddr_in address = {AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}, {0}};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (!bind(fd, (void *)&address, sizeof address) && !listen(fd, 4096)) return fd;
    perror("smtpsink: cannot listen");
    exit(1);
}

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    if (argc > 2) refusal = argv[2];
    if (argc > 3) login = argv[3];
    signal(SIGPIPE, SIG_IGN);
    int listener = listen_on(atoi(argv[1]));
    poller = epoll_create1(0);
    struct epoll_event events[256], first = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &first);
    for (;;) {
        int count = epoll_wait(poller, events, 256, -1);
        for (int i = 0; i < count; i++) {
            struct client *client = events[i].data.ptr;
            if (!client) welcome(listener);
            else if (take(client)) { close(client->fd); free(client); }
        }
    }
}
