/*
 * A rail's request as a message of ISO 8583:1987, and back: Tael's use of the fields, from either
 * side. docs/card-network.md has the tables. Pure: time and numbers are arguments.
 */
#ifndef NETWORK_MESSAGE_H
#define NETWORK_MESSAGE_H

#include "iso8583/iso8583.h"
#include "port/network.h"

/* Elements of DE 48. Ids are 32 hexadecimal digits. */
enum network_element {
    NETWORK_ID = 1, /* of the operation */
    NETWORK_ORIGINAL =
        2, /* the authorization that it follows; of an inquiry: what is asked about */
    NETWORK_CHALLENGE = 4, /* the authorization whose challenge was passed */
    NETWORK_AGREEMENT = 5, /* the authorization that set the card up */
    NETWORK_FLAGS = 6,     /* O off session, C may challenge, W wants proof, S sets up */
    NETWORK_REFERENCE = 7, /* of what takes the money: what notices of disputes are to name */
    NETWORK_POSITION = 8,  /* of an inquiry: asks for the news of disputes behind it */
    NETWORK_CONTEST = 9,   /* A: the dispute is accepted; else which part of the evidence this is */
    NETWORK_CVC = 10,
    NETWORK_POSTAL_CODE = 11,
    NETWORK_ADDRESS = 12,
    /* Of answers. */
    NETWORK_OUTCOME = 50, /* A D P F N C: as enum port_rail_outcome */
    NETWORK_DECLINE = 51, /* error code, decline code, advice, where DE 39 alone says another */
    NETWORK_CHECKS = 52,  /* of CVC, address, postal code: N P F U */
    NETWORK_PROOF = 53,   /* N A T S E: as enum port_rail_proof */
    NETWORK_RISK = 54,    /* level, score */
    NETWORK_STATE = 55,   /* B at once available, C captured, V voided, X declined by the network */
    NETWORK_AMOUNTS = 56, /* authorized, captured, refunded, disputed, reinstated */
    NETWORK_TRANSACTION = 57,
    NETWORK_NEWS = 60, /* N I D W L C: as enum port_rail_news; all behind it are a notice's */
    NETWORK_NEWS_POSITION = 61,
    NETWORK_NEWS_DISPUTE = 62,
    NETWORK_NEWS_AUTHORIZATION = 63,
    NETWORK_NEWS_REFERENCE = 64,
    NETWORK_NEWS_SCOPE = 65, /* as DE 42 */
    NETWORK_NEWS_AMOUNT = 66,
    NETWORK_NEWS_TIMES = 67, /* opened, due: milliseconds since 1970 */
    NETWORK_NEWS_REASON = 68,
    NETWORK_NEWS_CODE = 69,
};

/* Who sends: DE 41, 32, 18. */
struct network_identity {
    char terminal[9];  /* 8 characters */
    char acquirer[12]; /* at most 11 digits */
    uint16_t category;
};

/* DE 11 and DE 7: together they are one message's, as long as the terminal lives. */
struct network_trace {
    uint32_t stan;      /* 1 to 999,999 */
    uint64_t date_time; /* MMDDhhmmss as a number, UTC */
};

#define NETWORK_STAN_MAX 999999u

static inline bool
network_trace_equal(const struct network_trace *a, const struct network_trace *b)
{
    return a->stan == b->stan && a->date_time == b->date_time;
}

/* False: the message has none. */
bool network_trace_read(const struct iso8583_message *message, struct network_trace *ret_trace);

/* DE 4 has twelve digits. */
#define NETWORK_AMOUNT_MAX INT64_C(999999999999)
/* Characters of DE 48. */
#define NETWORK_ELEMENTS_MAX 999
/* Digits of DE 42. */
#define NETWORK_SCOPE_DIGITS 15
/* Bytes of evidence in one message, and of all of it. */
#define NETWORK_PART         2241u
#define NETWORK_PARTS_MAX    468u
#define NETWORK_EVIDENCE_MAX (NETWORK_PART * NETWORK_PARTS_MAX)

/* Seconds since 1970 as DE 7. */
uint64_t network_date_time(uint64_t unix_s);

/* The MTI of a request; `repeat`: with the repeat digit. */
uint16_t network_request_type(const struct port_rail_request *rail, bool repeat);
/* The MTI that answers it. */
uint16_t network_answer_type(uint16_t request_type);
/* An advice is repeated until it is answered; so may an inquiry be, each a new one. */
bool network_may_repeat(enum port_rail_operation operation);
bool network_is_inquiry(enum port_rail_operation operation);
/* The merchant's answer to a dispute: evidence, or an acceptance. */
bool network_is_contest(enum port_rail_operation operation);
/* DE 37 of everything that concerns this operation. */
void network_reference(u128 id, char out[12]);

struct network_request {
    const struct network_identity *identity;
    const struct port_rail_request *rail;
    const struct port_network_card *card;
    struct network_trace trace;
    /* What is reversed, as far as it is known: DE 90. */
    uint16_t original_type;
    struct network_trace original;
    uint16_t part; /* EVIDENCE: from 1 */
    bool repeat;
};

/* ERR_RANGE: the amount has no room in DE 4, or the evidence is more than NETWORK_EVIDENCE_MAX. */
MUST_USE err_t
network_request_build(const struct network_request *request, struct iso8583_message *message);
/* 0800: DE 70 says what for. */
#define NETWORK_SIGN_ON  1
#define NETWORK_SIGN_OFF 2
#define NETWORK_ECHO     301
MUST_USE err_t network_management_build(
    const struct network_identity *identity,
    const struct network_trace *trace,
    uint16_t code,
    struct iso8583_message *message);

/* What an answer to `rail` says. False: it makes no sense, and is none. */
bool network_answer_read(
    const struct iso8583_message *message,
    const struct port_rail_request *rail,
    struct port_rail_answer *ret_answer);

/* --- the host's side --- */

/* What a request said; the spans of `rail` point into `texts`. */
struct network_asked {
    struct port_rail_request rail;
    struct port_network_card card;
    uint16_t part, parts; /* EVIDENCE: which this message has, and how many there are */
    char texts[128];
};

/* NULL, or the DE 39 that refuses it. */
const char *network_request_read(
    const struct iso8583_message *message, struct network_asked *ret_asked);

/* Fields of a request that its answer repeats. */
struct network_echo {
    uint16_t type; /* the answer's */
    uint8_t fields[12];
    uint8_t sizes[12];
    uint8_t count;
    char text[128];
};

void network_echo_take(const struct iso8583_message *request, struct network_echo *ret_echo);
MUST_USE err_t network_answer_build(
    const struct network_echo *echo,
    enum port_rail_operation operation,
    const struct port_rail_answer *answer,
    struct iso8583_message *message);
/* With DE 39 alone. */
MUST_USE err_t network_refusal_build(
    const struct network_echo *echo, const char *code, struct iso8583_message *message);

/* --- ids and merchants, from either side (message.c, dispute.c) --- */

void network_id_append(struct buf *out, unsigned tag, u128 id);
/* True too if there is none: `*ret_id` is 0 then. */
MUST_USE bool network_id_read(struct span elements, unsigned tag, u128 *ret_id);
/* A scope as DE 42: base 36. */
void network_scope_write(uint64_t scope, char out[NETWORK_SCOPE_DIGITS]);
MUST_USE bool network_scope_read(struct span text, uint64_t *ret_scope);

/* --- disputes (dispute.c) --- */

/* How many messages the evidence takes: at least one. */
uint16_t network_part_count(struct span evidence);
/* DE 121 to 123. Part 1 is the first. */
MUST_USE err_t
network_part_set(struct span evidence, uint16_t part, struct iso8583_message *message);
/* False: it has none, or it is no base 64. */
MUST_USE bool network_part_get(
    const struct iso8583_message *message, char out[NETWORK_PART], struct span *ret_part);
void network_contest_append(struct buf *out, const struct port_rail_request *rail, uint16_t part);
/* The operation, and which part. False: it is neither evidence nor an acceptance. */
MUST_USE bool network_contest_read(struct span elements, struct network_asked *asked);
void network_notice_append(struct buf *out, const struct port_rail_notice *notice);
/* Without the elements there are no news. False: it is no notice, or not behind the position. */
MUST_USE bool network_notice_read(
    struct span elements, uint64_t behind, struct port_rail_notice *ret_notice);

#endif
