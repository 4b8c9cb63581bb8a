insert into dn values (-2, null, -1, 100, -700, -3, '{}'); update dn set a = default where id = -2; delete from dn where id = -2;
