#include "url.h"

#include <string.h>

#define PORT_AMQP  5672
#define PORT_AMQPS 5671

static const struct {
    struct span scheme;
    enum broker_kind kind;
    bool tls;
} schemes[] = {
    {{"kafka://", 8}, BROKER_KAFKA, false},
    {{"kafkas://", 9}, BROKER_KAFKA, true},
    {{"amqp://", 7}, BROKER_RABBITMQ, false},
    {{"amqps://", 8}, BROKER_RABBITMQ, true},
};

static bool
is_word(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '-' || byte == '.' || byte == '_';
}

static bool
copy_words(char *out, size_t room, struct span text)
{
    if (text.size == 0 || text.size >= room) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        if (!is_word(text.data[i])) {
            return false;
        }
    }
    memcpy(out, text.data, text.size);
    out[text.size] = '\0';
    return true;
}

/* %XX becomes its byte; control bytes are refused, as they are or as %XX. */
static bool
decode(char *out, size_t room, struct span text)
{
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        if (byte == '%') {
            int high = i + 2 < text.size ? span_hex_digit(text.data[i + 1]) : -1;
            int low = i + 2 < text.size ? span_hex_digit(text.data[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return false;
            }
            byte = (unsigned char)(high << 4 | low);
            i += 2;
        }
        if (byte < ' ' || byte == 0x7f || size + 1 >= room) {
            return false;
        }
        out[size++] = (char)byte;
    }
    out[size] = '\0';
    return true;
}

static bool
parse_port(struct span text, uint16_t *ret_port)
{
    uint64_t value = 0;
    if (!span_parse_u64(text, &value) || value == 0 || value > UINT16_MAX) {
        return false;
    }
    *ret_port = (uint16_t)value;
    return true;
}

/* A name or an IPv4 address. */
static bool
host_is_good(struct span host)
{
    if (host.size == 0 || host.size > 253) {
        return false;
    }
    for (size_t i = 0; i < host.size; i++) {
        if (!is_word(host.data[i])) {
            return false;
        }
    }
    return true;
}

/* HOST:PORT,HOST:PORT/TOPIC */
static const char *
parse_kafka(struct span rest, struct broker_url *url)
{
    struct span hosts = span_cut(&rest, '/');
    if (!copy_words(url->name, sizeof(url->name), rest)) {
        return "has no topic, or one with other bytes than letters, digits, '.', '_' and '-'";
    }
    if (hosts.size == 0 || hosts.size > BROKER_HOSTS_MAX) {
        return "has no host, or too many";
    }
    memcpy(url->hosts, hosts.data, hosts.size);
    url->hosts[hosts.size] = '\0';
    bool last = false;
    while (!last) {
        last = span_find(hosts, ',', 0) == hosts.size;
        struct span one = span_cut(&hosts, ',');
        struct span host = span_cut(&one, ':');
        uint16_t port;
        if (!host_is_good(host) || !parse_port(one, &port)) {
            return "has a host that is not HOST:PORT";
        }
    }
    return NULL;
}

static const char *
parse_user(struct span user, struct broker_url *url)
{
    struct span name = span_cut(&user, ':');
    if (!decode(url->user, sizeof(url->user), name) || url->user[0] == '\0' ||
        !decode(url->password, sizeof(url->password), user)) {
        return "has a user or password that cannot be read";
    }
    return NULL;
}

/* USER:PASSWORD@HOST:PORT/VHOST/EXCHANGE */
static const char *
parse_amqp(struct span rest, struct broker_url *url)
{
    struct span authority = span_cut(&rest, '/');
    size_t at = span_find(authority, '@', 0);
    memcpy(url->user, "guest", sizeof("guest"));
    memcpy(url->password, "guest", sizeof("guest"));
    memcpy(url->vhost, "/", sizeof("/"));
    if (at < authority.size) {
        const char *wrong = parse_user(span_slice(authority, 0, at), url);
        if (wrong != NULL) {
            return wrong;
        }
        authority = span_slice(authority, at + 1, authority.size);
    }
    url->port = url->tls ? PORT_AMQPS : PORT_AMQP;
    bool has_port = span_find(authority, ':', 0) < authority.size;
    struct span host = span_cut(&authority, ':');
    if (!host_is_good(host) || (has_port && !parse_port(authority, &url->port))) {
        return "has no host, or a port that is none";
    }
    memcpy(url->hosts, host.data, host.size);
    url->hosts[host.size] = '\0';
    if (span_find(rest, '/', 0) < rest.size) {
        struct span vhost = span_cut(&rest, '/');
        if (!decode(url->vhost, sizeof(url->vhost), vhost) || url->vhost[0] == '\0') {
            return "has a vhost that cannot be read";
        }
    }
    if (!copy_words(url->name, sizeof(url->name), rest)) {
        return "has no exchange, or one with other bytes than letters, digits, '.', '_' and '-'";
    }
    return NULL;
}

const char *
broker_url_parse(struct span text, struct broker_url *ret_url)
{
    *ret_url = (struct broker_url){.kind = BROKER_KAFKA};
    if (text.size > BROKER_URL_MAX) {
        return "is too long";
    }
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        if (span_starts_with(text, schemes[i].scheme)) {
            struct span rest = span_slice(text, schemes[i].scheme.size, text.size);
            ret_url->kind = schemes[i].kind;
            ret_url->tls = schemes[i].tls;
            return ret_url->kind == BROKER_KAFKA ? parse_kafka(rest, ret_url)
                                                 : parse_amqp(rest, ret_url);
        }
    }
    return "begins with none of kafka://, kafkas://, amqp:// and amqps://";
}
