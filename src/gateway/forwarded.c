#include "forwarded.h"

#include "base/assert.h"
#include "base/ip.h"

#include <string.h>

/* ---------------------------------------------------------------------------------- Forwarded */

static bool
is_token_byte(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') ||
           (byte != '\0' && strchr("!#$%&'*+-.^_`|~", byte) != NULL);
}

static struct span
take_token(struct span *rest)
{
    size_t size = 0;
    while (size < rest->size && is_token_byte(rest->data[size])) {
        size++;
    }
    struct span token = span_slice(*rest, 0, size);
    *rest = span_slice(*rest, size, rest->size);
    return token;
}

static bool
take_byte(struct span *rest, char byte)
{
    if (rest->size == 0 || rest->data[0] != byte) {
        return false;
    }
    *rest = span_slice(*rest, 1, rest->size);
    return true;
}

static void
skip_space(struct span *rest)
{
    while (take_byte(rest, ' ') || take_byte(rest, '\t')) {
    }
}

/* The inside of a quoted string. Escapes are refused: no address and no scheme needs one. */
static bool
take_quoted(struct span *rest, struct span *ret_text)
{
    size_t end = span_find(*rest, '"', 1);
    if (end == rest->size) {
        return false;
    }
    *ret_text = span_slice(*rest, 1, end);
    *rest = span_slice(*rest, end + 1, rest->size);
    return span_find(*ret_text, '\\', 0) == ret_text->size;
}

/* One name=value. */
static bool
take_pair(struct span *rest, struct span *ret_name, struct span *ret_value)
{
    *ret_name = take_token(rest);
    if (ret_name->size == 0 || !take_byte(rest, '=')) {
        return false;
    }
    if (rest->size > 0 && rest->data[0] == '"') {
        return take_quoted(rest, ret_value);
    }
    *ret_value = take_token(rest);
    return ret_value->size > 0;
}

/* One element: pairs with semicolons between them. */
static bool
take_element(struct span *rest, struct gateway_hop *ret_hop)
{
    *ret_hop = (struct gateway_hop){.known = false};
    bool named = false;
    do {
        struct span name;
        struct span value;
        if (!take_pair(rest, &name, &value)) {
            return false;
        }
        if (span_equal_nocase(name, SPAN("for"))) {
            if (named) {
                return false;
            }
            named = true;
            ret_hop->known = gateway_ip_parse(value, ret_hop->ip) == ERR_OK;
        }
    } while (take_byte(rest, ';'));
    return true;
}

err_t
gateway_forwarded_decode(
    struct span value, struct gateway_hop hops[GATEWAY_ELEMENTS_MAX], size_t *ret_count)
{
    struct span rest = value;
    size_t count = 0;
    do {
        skip_space(&rest);
        if (count == GATEWAY_ELEMENTS_MAX) {
            return ERR_FULL;
        }
        if (!take_element(&rest, &hops[count])) {
            return ERR_INVALID;
        }
        count++;
        skip_space(&rest);
    } while (take_byte(&rest, ','));
    if (rest.size > 0) {
        return ERR_INVALID;
    }
    *ret_count = count;
    return ERR_OK;
}

/* ---------------------------------------------------------------------------- X-Forwarded-For */

/* Items of all X-Forwarded-For headers together, as if they were one. */
static void
read_list(
    const struct http_head *head, struct gateway_hop hops[GATEWAY_ELEMENTS_MAX], size_t *ret_count)
{
    size_t count = 0;
    for (uint32_t i = 0; i < head->field_count; i++) {
        if (head->fields[i].field != HTTP_FIELD_X_FORWARDED_FOR) {
            continue;
        }
        struct span rest = http_head_text(head, head->fields[i].value);
        while (rest.size > 0) {
            struct span item = span_trim(span_cut(&rest, ','));
            if (count == GATEWAY_ELEMENTS_MAX) {
                /* The end of the chain is what counts. */
                memmove(&hops[0], &hops[1], (count - 1) * sizeof(hops[0]));
                count--;
            }
            hops[count].known = gateway_ip_parse(item, hops[count].ip) == ERR_OK;
            count++;
        }
    }
    *ret_count = count;
}

static void
read_chain(
    const struct http_head *head, struct gateway_hop hops[GATEWAY_ELEMENTS_MAX], size_t *ret_count)
{
    struct span forwarded;
    *ret_count = 0;
    if (http_head_has(head, HTTP_FIELD_X_FORWARDED_FOR)) {
        read_list(head, hops, ret_count);
    } else if (
        http_head_find(head, SPAN("forwarded"), &forwarded) &&
        gateway_forwarded_decode(forwarded, hops, ret_count) != ERR_OK) {
        *ret_count = 0;
    }
}

static void
prepend(struct gateway_forwarded *forwarded, const uint8_t ip[16])
{
    memmove(
        forwarded->hops[1],
        forwarded->hops[0],
        (size_t)forwarded->hop_count * sizeof(forwarded->hops[0]));
    memcpy(forwarded->hops[0], ip, sizeof(forwarded->hops[0]));
    forwarded->hop_count++;
}

/* What a Host may be made of: the codec has checked the request's own, not a proxy's claim. */
static bool
is_host(struct span text)
{
    if (text.size == 0 || text.size > 255) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        bool good = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                    (byte >= '0' && byte <= '9') || strchr(".-:[]_", byte) != NULL;
        if (!good || byte == '\0') {
            return false;
        }
    }
    return true;
}

static void
read_claims(const struct http_head *head, struct gateway_forwarded *forwarded)
{
    struct span proto = http_head_value(head, HTTP_FIELD_X_FORWARDED_PROTO);
    if (span_equal_nocase(proto, SPAN("https"))) {
        forwarded->https = true;
    } else if (span_equal_nocase(proto, SPAN("http"))) {
        forwarded->https = false;
    }
    struct span host;
    if (http_head_find(head, SPAN("x-forwarded-host"), &host) && is_host(host)) {
        forwarded->host = host;
    }
}

void
gateway_forwarded_read(
    const struct http_head *head,
    const uint8_t peer[16],
    bool tls,
    const struct gateway_cidr *trusted,
    size_t trusted_count,
    struct gateway_forwarded *ret_forwarded)
{
    struct gateway_forwarded *forwarded = ret_forwarded;
    forwarded->hop_count = 1;
    memcpy(forwarded->hops[0], peer, sizeof(forwarded->hops[0]));
    forwarded->https = tls;
    forwarded->host = http_head_text(head, head->authority);
    if (!gateway_cidr_any(trusted, trusted_count, peer)) { /* FORWARDED-1 */
        return;
    }
    read_claims(head, forwarded);
    struct gateway_hop hops[GATEWAY_ELEMENTS_MAX];
    size_t count;
    read_chain(head, hops, &count);
    /* FORWARDED-2 */
    while (count > 0 && hops[count - 1].known && forwarded->hop_count < GATEWAY_HOPS_MAX) {
        count--;
        prepend(forwarded, hops[count].ip);
        if (!gateway_cidr_any(trusted, trusted_count, hops[count].ip)) {
            break;
        }
    }
}

/* ------------------------------------------------------------------------------------ writing */

void
gateway_forwarded_write_for(const struct gateway_forwarded *forwarded, struct buf *out)
{
    for (uint32_t i = 0; i < forwarded->hop_count; i++) {
        char text[GATEWAY_IP_TEXT_SIZE];
        size_t size = gateway_ip_format(forwarded->hops[i], text);
        buf_append_cstr(out, i == 0 ? "" : ", ");
        buf_append(out, text, size);
    }
}

void
gateway_forwarded_write(const struct gateway_forwarded *forwarded, struct buf *out)
{
    ASSERT(forwarded->hop_count > 0);
    for (uint32_t i = 0; i < forwarded->hop_count; i++) {
        char text[GATEWAY_IP_TEXT_SIZE];
        size_t size = gateway_ip_format(forwarded->hops[i], text);
        bool v4 = ip_is_v4(forwarded->hops[i]);
        buf_append_cstr(out, i == 0 ? "for=" : ", for=");
        buf_append_cstr(out, v4 ? "" : "\"[");
        buf_append(out, text, size);
        buf_append_cstr(out, v4 ? "" : "]\"");
        if (i == 0) {
            if (forwarded->host.size > 0) {
                buf_append_cstr(out, ";host=\"");
                buf_append_span(out, forwarded->host);
                buf_append_byte(out, '"');
            }
            buf_append_cstr(out, forwarded->https ? ";proto=https" : ";proto=http");
        }
    }
}
