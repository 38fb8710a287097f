/*
 * Messages as frames of a connection, from either side. What is encoded may be a card's number, so
 * the frame and the message are overwritten when they are used (M6).
 */
#ifndef NETWORK_FRAME_H
#define NETWORK_FRAME_H

#include "iso8583/iso8583.h"
#include "net/stream.h"

#define NETWORK_FRAME (ISO8583_FRAME_HEAD + ISO8583_MESSAGE_MAX)
/* Bytes that wait on a connection: to be read, and to be sent. */
#define NETWORK_INPUT_MAX  (2 * (uint32_t)NETWORK_FRAME)
#define NETWORK_OUTPUT_MAX (256U << 10)

/* On an error nothing was sent. ERR_INVALID, ERR_MEMORY: it cannot be encoded; ERR_FULL: too much
 * waits already; ERR_CLOSED. */
MUST_USE err_t network_frame_send(
    struct net_stream *stream,
    const struct iso8583_dialect *dialect,
    const struct iso8583_message *message);

struct network_frame_reader {
    void *context;
    /* A whole message's text. False: the connection is gone, and with it the text. */
    bool (*take)(void *context, struct span text);
    struct iso8583_message *message; /* that `take` decodes it into: wiped after each */
};

/*
 * All whole frames that have come. ERR_OK: `*ret_used` bytes were read. ERR_CLOSED: `take` has
 * ended the connection. ERR_RANGE: a frame is too long, and nothing behind it can be read.
 */
MUST_USE err_t
network_frames_read(const struct network_frame_reader *reader, struct span input, size_t *ret_used);

#endif
