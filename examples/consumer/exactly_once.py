"""Events from a broker with an exactly-once effect: copy this into your consumer.

The broker delivers at least once: an event may come again after a failure on either side. So the
event's id is written down in the same transaction as whatever the event makes you do, and the message
is acknowledged only when that is committed. A second delivery finds the id and does nothing.

    python3 exactly_once.py amqp://127.0.0.1:5672/tael.events shop.db       needs pika
    python3 exactly_once.py kafka://127.0.0.1:9092/tael.events shop.db      needs kafka-python

The effect here is a table of what each currency took in; put yours in its place. Any database with
transactions will do; what is not in it (an e-mail, another API) is not covered, and wants an
idempotency key of its own: the event's id is a good one.
"""

import json
import sqlite3
import sys
import urllib.parse


class Once:
    """Runs `effect(database, event)` once for each event id."""

    def __init__(self, database, effect):
        self.database = database
        self.effect = effect
        with database:
            database.execute("CREATE TABLE IF NOT EXISTS seen (event TEXT PRIMARY KEY)")

    def handle(self, event_id, body):
        """True: done now; False: it was done before. An exception: nothing was done, and the
        message must not be acknowledged."""
        with self.database:
            added = self.database.execute(
                "INSERT INTO seen VALUES (?) ON CONFLICT DO NOTHING", (event_id,))
            if added.rowcount == 0:
                return False
            self.effect(self.database, json.loads(body))
        return True


def open_shop(path):
    database = sqlite3.connect(path)
    with database:
        database.execute(
            "CREATE TABLE IF NOT EXISTS takings (currency TEXT PRIMARY KEY, amount INTEGER)")
    return database


def take_in(database, event):
    """The effect of this example."""
    if event["type"] == "payment_intent.succeeded":
        intent = event["data"]["object"]
        database.execute(
            "INSERT INTO takings VALUES (?, ?) ON CONFLICT (currency) "
            "DO UPDATE SET amount = amount + excluded.amount",
            (intent["currency"], intent["amount_received"]))


def from_rabbitmq(url, once):
    import pika
    parts = urllib.parse.urlsplit(url)
    queue = parts.path.rsplit("/", 1)[1]
    connection = pika.BlockingConnection(pika.ConnectionParameters(
        parts.hostname, parts.port or 5672,
        credentials=pika.PlainCredentials(parts.username or "guest", parts.password or "guest")))
    channel = connection.channel()
    channel.basic_qos(prefetch_count=100)
    for method, properties, body in channel.consume(queue):
        once.handle(properties.message_id, body)
        channel.basic_ack(method.delivery_tag)


def from_kafka(url, once):
    import kafka
    parts = urllib.parse.urlsplit(url)
    consumer = kafka.KafkaConsumer(
        parts.path[1:], bootstrap_servers=parts.netloc, group_id="exactly-once-example",
        enable_auto_commit=False, auto_offset_reset="earliest")
    while True:
        for records in consumer.poll(timeout_ms=1000).values():
            for record in records:
                once.handle(dict(record.headers)["event-id"].decode(), record.value)
        consumer.commit()


def main():
    url, path = sys.argv[1:]
    once = Once(open_shop(path), take_in)
    if url.startswith("amqp"):
        from_rabbitmq(url, once)
    else:
        from_kafka(url, once)


if __name__ == "__main__":
    main()
