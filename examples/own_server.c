/* A program that has an HTTP server already, and asks pubhook what to answer.
 *
 *     own_server ACCESS_KEY [PORT]
 *
 * The server here is the smallest there can be, one request on one connection at a
 * time; what matters is answer(): ph_request_new, ph_request_add_header,
 * ph_app_serve, ph_response_header. Put it into the loop that you have. */
#include <arpa/inet.h>
#include <pubhook/app.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUEST_MAX 65536

static struct ph_reply *shout(const struct ph_event *ev, void *arg)
{
    size_t len;
    const char *data = ph_event_data(ev, &len);
    char *text = malloc(len + 1);
    struct ph_reply *reply;

    (void)arg;
    if (!text)
        return NULL; /* 500: the service tries again */
    memcpy(text, data, len);
    text[len] = '!';
    reply = ph_reply_text(text, len + 1);
    free(text);
    return reply;
}

static void send_response(FILE *client, const struct ph_response *response)
{
    const char *name, *value;
    size_t len;
    const void *body = ph_response_body(response, &len);

    fprintf(client, "HTTP/1.1 %d -\r\n", ph_response_status(response));
    for (size_t i = 0; (name = ph_response_header(response, i, &value)) != NULL; i++)
        fprintf(client, "%s: %s\r\n", name, value);
    if (ph_response_status(response) != 204)
        fprintf(client, "Content-Length: %zu\r\n", len);
    fprintf(client, "Connection: close\r\n\r\n");
    fwrite(body, 1, len, client);
}

/* What your server has: method, target, header lines and the body. */
struct received {
    char *method, *target;
    char *lines; /* "Name: value\r\n"... up to an empty string */
    char *body;
    size_t body_len;
};

static void answer(struct ph_app *app, const struct received *received, FILE *client)
{
    struct ph_request *request = ph_request_new(received->method, received->target);
    struct ph_response *response = ph_response_new();

    for (char *line = received->lines; request && *line; line += strcspn(line, "\n") + 1) {
        size_t name = strcspn(line, ":\r"), start = name + 1 + strspn(line + name + 1, " ");
        size_t end = strcspn(line, "\r");

        ph_request_add_header(request, line, name, line + start, end > start ? end - start : 0);
    }
    if (request && response) {
        ph_request_set_body(request, received->body, received->body_len);
        ph_app_serve(app, request, response);
        send_response(client, response);
    }
    ph_request_free(request);
    ph_response_free(response);
}

/* Reads a request with a Content-Length into `buffer`; 0 when there is none. */
static int receive(FILE *client, char *buffer, struct received *out)
{
    size_t used = 0, length = 0;
    char *version;

    for (;;) {
        char *line = buffer + used;

        if (!fgets(line, (int)(REQUEST_MAX - used), client))
            return 0;
        if (strcmp(line, "\r\n") == 0) {
            *line = '\0';
            out->body = line + 1;
            break;
        }
        if (strncasecmp(line, "Content-Length:", 15) == 0)
            length = strtoul(line + 15, NULL, 10);
        used += strlen(line);
    }
    if (length > REQUEST_MAX - used - 2)
        return 0;
    out->body_len = fread(out->body, 1, length, client);
    out->method = strtok(buffer, " ");
    out->target = strtok(NULL, " ");
    version = strtok(NULL, "\n");
    out->lines = version ? version + strlen(version) + 1 : NULL;
    return out->body_len == length && out->lines;
}

static void serve_one(struct ph_app *app, int fd)
{
    static char buffer[REQUEST_MAX];
    struct received received = {0};
    FILE *client = fdopen(fd, "r+");

    if (!client) {
        close(fd);
        return;
    }
    if (receive(client, buffer, &received))
        answer(app, &received, client);
    fclose(client);
}

static int listen_on(unsigned short port)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t len = sizeof(sa);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)&sa, len) || listen(fd, 16) ||
        getsockname(fd, (struct sockaddr *)&sa, &len)) {
        perror("own_server");
        exit(EXIT_FAILURE);
    }
    printf("ready http://127.0.0.1:%d/eventhandler\n", ntohs(sa.sin_port));
    fflush(stdout);
    return fd;
}

int main(int argc, char **argv)
{
    struct ph_app *app = ph_app_new();
    int listener;

    if (argc < 2 || !app || ph_app_add_key(app, argv[1]) ||
        ph_app_on_event(app, NULL, "*", shout, NULL, NULL)) {
        fprintf(stderr, "usage: own_server ACCESS_KEY [PORT]\n");
        ph_app_free(app);
        return 2;
    }
    listener = listen_on((unsigned short)(argc > 2 ? atoi(argv[2]) : 0));
    for (;;) {
        int fd = accept(listener, NULL, NULL);

        if (fd >= 0)
            serve_one(app, fd);
    }
}
