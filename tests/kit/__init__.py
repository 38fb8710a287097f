"""What the tests of the whole program share: a server to talk to, clients, Stripe's schemas."""
