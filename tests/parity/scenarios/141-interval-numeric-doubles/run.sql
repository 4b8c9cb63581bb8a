insert into iv values (2,'-3 years -9 months -34 days -07:00:27.23034'),(3,'1 year 7 months 40 days 02:21:01.675712'),(4,'-00:00:01.5'),(5,'-1 days 00:00:00.000001'),(6,'P1Y2M3DT4H5M6.7S'),(7,'24 months 28 days -23:57:48.024');
insert into iv values (8,'-19 months -42 days 13:11:59.999999'),(9,'178000000 years'),(10,null);
