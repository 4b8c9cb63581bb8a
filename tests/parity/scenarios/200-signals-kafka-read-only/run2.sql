insert into other values (10);
\! sleep 0.4
insert into other values (11);
\! sleep 0.4
insert into other values (12);
\! sleep 0.4
insert into other values (13);
\! sleep 0.4
insert into other values (14);
\! sleep 0.4
insert into other values (15);
\! sleep 0.4
insert into other values (16);
\! sleep 0.4
insert into other values (17);
\! sleep 0.4
