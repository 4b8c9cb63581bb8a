insert into p select g, g*1000003, g, 'text '||g||' ü'||repeat('x',g), g*1.5, g/3.0, g%2=0, g*123456789.4321, date '2020-01-01'+g, timestamp '2020-01-01 00:00:00.123456'+g*interval '1 hour', ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a'||lpad(g::text,2,'0'))::uuid, jsonb_build_object('a',g), array[g,g*2,null] from generate_series(1,30) g;
insert into p (id) values (-1), (-5000000000);
update p set t='changed' where id=3; delete from p where id=4;
