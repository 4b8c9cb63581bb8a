select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database();
insert into s1 values (11,'while stopped');
