insert into tk values (repeat('k',2300), repeat('v',4000)); update tk set v='short'; update tk set id=repeat('z',2300); delete from tk;
insert into tf values (1, repeat('b',4000), 1); update tf set v=2; update tf set id=2; delete from tf;
