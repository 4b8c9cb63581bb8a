create table s1 (id int primary key, v text); create table s2 (id int primary key, v text);
create table s_empty (id int primary key); create table s_nopk (v text); create schema "Odd"; create table "Odd"."Ta ble" (id int primary key);
insert into s1 select g,'v'||g from generate_series(1,4) g; insert into s2 values (1,'x'); insert into s_nopk values ('p'),('q'); insert into "Odd"."Ta ble" values (1);
