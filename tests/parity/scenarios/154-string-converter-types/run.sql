insert into st (id) values (2); insert into st values (3, '1500-01-01', null, '1969-12-31 23:59:59.999', null, '{}', '', 'NaN', '-Infinity', null, '[]', '\x', null); delete from st where id = 3;
