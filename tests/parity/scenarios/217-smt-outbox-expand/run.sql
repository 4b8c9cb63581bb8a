insert into outbox values ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11','order','42','OrderCreated','{"id": 42, "big": 5000000000, "f": 1.5, "items": [{"sku":"a","n":1.5}, {"sku":"b","n":0.25}], "note": null, "empty": [], "deep": {"a": {"b": [true,false]}}, "matrix": [[1,2],[3]]}','2023-11-14 22:13:20.123456','ex1',1,0);
insert into outbox values ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12','customer','c-1','CustomerChanged','{"a":true}','2023-11-14 22:13:21',null,1,0);
insert into outbox values ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a13','order','43','OrderEmpty',null,'2023-11-14 22:13:22','ex3',2,null);
insert into outbox values ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a14','order','44','OrderMixed','{"id": 44, "list": [1, "x"]}','2023-11-14 22:13:22.5','ex3',2,0);
insert into outbox values ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a15','order','44','OrderText','"text"','2023-11-14 22:13:22.5','ex3',2,0);
update outbox set extra='z' where aggregateid='43';
delete from outbox;
