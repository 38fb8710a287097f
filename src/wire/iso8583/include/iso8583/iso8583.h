/*
 * Messages of card networks: ISO 8583:1987. Pure; no memory but the caller's.
 *
 *     struct iso8583_message message;
 *     struct iso8583_refusal refusal;
 *     iso8583_init(&message, 800);
 *     iso8583_set_number(&message, 11, 125);
 *     ...
 *     iso8583_encode(&iso8583_ascii, &message, &out, &refusal);
 *     iso8583_decode(&iso8583_ascii, buf_span(&out), &message, &refusal);
 *     iso8583_get(&message, 11);   ... "000125" ...
 *
 * A message in memory is the same in every dialect: values are text (digits, characters, a sign and
 * digits), or bytes where the field is of kind `b`. How they are packed is the dialect's.
 *
 * Sources: ISO 8583:1987 and its field table as jPOS (ISO87A, ISO87B) and moov (Spec87ASCII) have
 * it. A message may hold a card number: its owner wipes it (iso8583_wipe), and the bytes too.
 */
#ifndef ISO8583_ISO8583_H
#define ISO8583_ISO8583_H

#include "base/buf.h"
#include "base/err.h"

#define ISO8583_FIELDS 128
/* Bytes of a message, without what frames it. */
#define ISO8583_MESSAGE_MAX 4096
/* Characters of all values: of packed digits there are two in a byte. */
#define ISO8583_VALUES_MAX (2 * ISO8583_MESSAGE_MAX)

/* The attributes of the standard. */
enum iso8583_kind {
    ISO8583_NONE, /* there is no such field */
    ISO8583_N,    /* digits */
    ISO8583_NS,   /* digits and special characters */
    ISO8583_AN,   /* letters, digits, spaces that pad */
    ISO8583_ANS,  /* printable ASCII */
    ISO8583_XN,   /* C or D, and digits */
    ISO8583_Z,    /* a track: digits, and = or D between its parts */
    ISO8583_B,    /* bytes */
    ISO8583_KINDS,
};

/* How values of a kind are packed. */
enum iso8583_packing {
    ISO8583_CHARACTERS, /* ASCII; bytes as capital hexadecimal digits */
    ISO8583_PACKED,     /* two digits in a byte (BCD), = as the nibble D; bytes as they are */
};

struct iso8583_field {
    enum iso8583_kind kind;
    uint8_t prefix;   /* digits of the length before it (LL, LLL); 0: always `maximum` long */
    uint16_t maximum; /* digits, characters or bytes */
};

/* One dialect, in one table. */
struct iso8583_dialect {
    const char *name;
    enum iso8583_packing type;                 /* of the MTI */
    enum iso8583_packing bitmap;               /* 16 digits, or 8 bytes */
    enum iso8583_packing length;               /* of the prefixes */
    enum iso8583_packing value[ISO8583_KINDS]; /* by kind */
    const struct iso8583_field *fields;        /* ISO8583_FIELDS + 1; the first two are not used */
};

/* Everything ASCII, bitmaps as hexadecimal digits (jPOS: ISO87A). */
extern const struct iso8583_dialect iso8583_ascii;
/* Digits packed, bitmaps and binary fields as bytes, characters ASCII (jPOS: ISO87B). */
extern const struct iso8583_dialect iso8583_binary;

/* "ascii" or "binary"; NULL: there is no such dialect. */
const struct iso8583_dialect *iso8583_dialect_find(struct span name);

struct iso8583_message {
    uint16_t type;       /* the MTI as a number: 100 is 0100 */
    bool extended;       /* the secondary bitmap is there, though it may be empty */
    uint16_t used;       /* of `values` */
    uint64_t present[2]; /* bit 63 of the first is field 1, and so on */
    uint16_t at[ISO8583_FIELDS + 1];
    uint16_t size[ISO8583_FIELDS + 1];
    char values[ISO8583_VALUES_MAX];
};

enum iso8583_problem {
    ISO8583_FINE,
    ISO8583_TOO_LONG,     /* the message */
    ISO8583_TRUNCATED,    /* it ends within the field */
    ISO8583_TRAILING,     /* bytes behind the last field */
    ISO8583_TYPE,         /* the MTI is not four digits */
    ISO8583_VERSION,      /* the MTI is not of 1987 */
    ISO8583_BITMAP,       /* not capital hexadecimal digits */
    ISO8583_NO_FIELD,     /* the standard has no such field (65: a third bitmap) */
    ISO8583_LENGTH,       /* the prefix is no number */
    ISO8583_LENGTH_RANGE, /* the value is too long, or of a fixed field too short */
    ISO8583_CHARACTER,    /* that the field's kind does not have */
    ISO8583_PADDING,      /* the half byte that fills an odd number of digits is not zero */
};

struct iso8583_refusal {
    enum iso8583_problem problem;
    uint8_t field;     /* 0: the MTI, 1: the bitmaps; of ISO8583_TRAILING the last that there was */
    uint16_t position; /* of the field's first byte in the message */
};

/* A few words; static. */
const char *iso8583_problem_text(enum iso8583_problem problem);

/* Without fields. */
void iso8583_init(struct iso8583_message *message, uint16_t type);
void iso8583_wipe(struct iso8583_message *message);

bool iso8583_has(const struct iso8583_message *message, unsigned field);
/* Empty if it is not there. Lives as long as the message. */
struct span iso8583_get(const struct iso8583_message *message, unsigned field);
/* False if it is not there, or no number that fits. */
bool iso8583_get_number(const struct iso8583_message *message, unsigned field, uint64_t *ret_value);

/* Fields 2 to 128, each once; what a field cannot hold is found by iso8583_encode. ERR_FULL: more
 * than ISO8583_VALUES_MAX characters. */
MUST_USE err_t iso8583_set(struct iso8583_message *message, unsigned field, struct span value);
/* Fills a fixed field: digits with zeros from the left. ERR_RANGE: it has too many digits. */
MUST_USE err_t iso8583_set_number(struct iso8583_message *message, unsigned field, uint64_t value);
/* Fills a fixed field with spaces from the right, and cuts what is too long. */
MUST_USE err_t
iso8583_set_padded(struct iso8583_message *message, unsigned field, struct span value);

/* ERR_INVALID: `refusal` tells which field, and nothing was appended. ERR_MEMORY: `out` is full. */
MUST_USE err_t iso8583_encode(
    const struct iso8583_dialect *dialect,
    const struct iso8583_message *message,
    struct buf *out,
    struct iso8583_refusal *refusal);
/* What is accepted encodes to the same bytes. ERR_INVALID: `refusal` tells, the message holds
 * whatever was read. */
MUST_USE err_t iso8583_decode(
    const struct iso8583_dialect *dialect,
    struct span text,
    struct iso8583_message *message,
    struct iso8583_refusal *refusal);

/* --- elements within a private field: tag (2 digits), length (3 digits), value --- */

/* `tag` is 0 to 99; the value at most 999 bytes. */
void iso8583_element_append(struct buf *out, unsigned tag, struct span value);
/* Takes the next; false at the end, or where it is malformed: `rest` is not empty then. */
bool iso8583_element_next(struct span *rest, unsigned *ret_tag, struct span *ret_value);
/* The first of this tag; false if there is none. */
bool iso8583_element_find(struct span field, unsigned tag, struct span *ret_value);

/* --- framing: two bytes of length, the higher first, which do not count themselves --- */

#define ISO8583_FRAME_HEAD 2

/* Whether `input` begins with a whole frame; `ret_message` is what it holds then. ERR_INCOMPLETE;
 * ERR_RANGE: longer than a message may be. */
MUST_USE err_t iso8583_frame_read(struct span input, struct span *ret_message);
/* The length of a message that follows. */
void iso8583_frame_head(size_t size, char out[ISO8583_FRAME_HEAD]);

#endif
