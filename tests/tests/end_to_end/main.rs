//! The main job on real parts: PostgreSQL twice, Kafka, and the built programs.
//!
//! `scripts/test.sh` runs these inside `stack run`, which starts the services and says where they are. Every test has its
//! own databases, slot, topics and worker.

mod any_order;
mod avro;
mod avro_sink;
mod bad_input;
mod client_certificates;
mod configuring;
mod console;
mod copy_load;
mod copy_resumed;
mod crash_windows;
mod ddl;
mod debezium_metrics;
mod doctor;
mod doors;
mod encrypted;
mod exactly_once;
mod fenced_broker;
mod guarded_kafka;
mod hand_back;
mod hand_over;
mod hand_over_snapshots;
mod hand_over_under_load;
mod interview;
mod jdbc_sink;
mod kafka_doors;
mod keyless;
mod least_privilege;
mod memory;
mod new_rows;
mod observability;
mod operations;
mod own_server;
mod pipeline;
mod promoted;
mod properties;
mod protobuf;
mod proxy;
mod refused;
mod rest;
mod rest_access;
mod restarts;
mod round_trip;
mod several_slots;
mod sink_group;
mod slot_life;
mod snapshots;
mod standstill;
mod strange_names;
mod tables_added;
mod transactions;
mod verify_repair;
mod whole_transactions;
