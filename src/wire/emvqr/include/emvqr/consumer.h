/*
 * Reading payment codes that a payer shows: EMV QR Code Specification for Payment Systems,
 * Consumer-Presented Mode 1.1. Base64 of BER-TLV (ISO/IEC 8825-1): 85 "CPV01" first, then for each
 * application a template 61 with its identifier, and 62 for what they have in common.
 *
 * There is no checksum in such a code: the card's cryptogram in it is what its issuer checks. It
 * may hold a card number (5A, 57): `decoded` is to be wiped.
 *
 * Pure; any thread.
 */
#ifndef EMVQR_CONSUMER_H
#define EMVQR_CONSUMER_H

#include "emvqr/emvqr.h"

#define EMVQR_CONSUMER_TEXT_MAX  512 /* characters of base64 */
#define EMVQR_CONSUMER_BYTES_MAX 384
#define EMVQR_CONSUMER_NODES_MAX 64
#define EMVQR_CONSUMER_DEPTH_MAX 4

/* Tags with a meaning here; others are kept as they are. */
enum emvqr_tag {
    EMVQR_TAG_AID = 0x4f,
    EMVQR_TAG_LABEL = 0x50,
    EMVQR_TAG_TRACK_2 = 0x57,
    EMVQR_TAG_PAN = 0x5a,
    EMVQR_TAG_APPLICATION = 0x61,
    EMVQR_TAG_COMMON = 0x62,
    EMVQR_TAG_APPLICATION_TRANSPARENT = 0x63,
    EMVQR_TAG_COMMON_TRANSPARENT = 0x64,
    EMVQR_TAG_FORMAT = 0x85,
    EMVQR_TAG_CARDHOLDER = 0x5f20,
    EMVQR_TAG_LANGUAGES = 0x5f2d,
};

struct emvqr_consumer_node {
    struct span value; /* of `decoded` */
    uint32_t tag;      /* with all its bytes: 0x9f26 */
    uint8_t parent;    /* index, or EMVQR_NO_NODE */
    uint8_t depth;     /* 0 for the objects of the code itself */
    uint8_t first_child;
    uint8_t child_count; /* 0 for a primitive object */
};

struct emvqr_consumer {
    struct span decoded; /* of the caller's memory */
    uint32_t node_count;
    uint32_t application_count; /* templates 61 */
    struct emvqr_consumer_node nodes[EMVQR_CONSUMER_NODES_MAX];
};

/* `memory` gets the decoded bytes, and must live as long as the code. ERR_INVALID with
 * *ret_refusal, whose position is a byte of the decoded code (of the text, for base64_invalid);
 * its path is empty. */
MUST_USE err_t emvqr_consumer_parse(
    struct span text,
    uint8_t memory[EMVQR_CONSUMER_BYTES_MAX],
    struct emvqr_consumer *ret_code,
    struct emvqr_refusal *ret_refusal);

/* The first object with this tag within a template, or in the code itself if `parent` is NULL. */
const struct emvqr_consumer_node *emvqr_consumer_find(
    const struct emvqr_consumer *code, const struct emvqr_consumer_node *parent, uint32_t tag);

/* A card number or what contains one. */
bool emvqr_tag_is_sensitive(uint32_t tag);

#endif
