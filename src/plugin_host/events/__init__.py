"""Events and jobs: a transactional outbox, deliveries that are claimed by lease, and schedules without a leader."""
