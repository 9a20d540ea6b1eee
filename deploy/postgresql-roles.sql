-- Who may do what in the database of an installation. Run it as a superuser, in that database, after `bankapi init`,
-- `bankapi restore` and every `bankapi database upgrade`; it may be run again and again.
--
--     bankapi_owner     owns the tables: init, upgrade, restore. Nobody serves or administers with it.
--     bankapi_gateway   `bankapi serve` and `bankapi worker`: reads, adds facts, and moves what is not one.
--     bankapi_staff     the other commands: as the gateway, and keeps dealers, terminals, customers, limits and rates.
--     bankapi_report    reads.
--
-- They cannot log in. Give each program a login of its own in one of them:
--
--     CREATE ROLE gateway_1 LOGIN PASSWORD '...' IN ROLE bankapi_gateway;
--
-- Nobody but the owner can switch a trigger off, so nobody else can change or delete a fact. That the owner did would
-- show in the tree that every bank has signed heads of.

DO $$
DECLARE
    role text;
    item record;
BEGIN
    FOREACH role IN ARRAY ARRAY['bankapi_owner', 'bankapi_gateway', 'bankapi_staff', 'bankapi_report'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', role);
        END IF;
    END LOOP;
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format(
        'GRANT CONNECT ON DATABASE %I TO bankapi_owner, bankapi_gateway, bankapi_staff, bankapi_report',
        current_database());
    -- Sequences follow their tables.
    FOR item IN SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' LOOP
        EXECUTE format('ALTER TABLE public.%I OWNER TO bankapi_owner', item.name);
    END LOOP;
    FOR item IN SELECT oid::regprocedure AS name FROM pg_proc WHERE pronamespace = 'public'::regnamespace LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO bankapi_owner', item.name);
    END LOOP;
END $$;

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO bankapi_owner;
GRANT USAGE ON SCHEMA public TO bankapi_gateway, bankapi_staff, bankapi_report;
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC, bankapi_gateway, bankapi_staff, bankapi_report;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM PUBLIC, bankapi_gateway, bankapi_staff, bankapi_report;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC;

GRANT SELECT ON ALL TABLES IN SCHEMA public TO bankapi_gateway, bankapi_staff, bankapi_report;
GRANT INSERT ON ALL TABLES IN SCHEMA public TO bankapi_gateway, bankapi_staff;
-- Numbers are taken, never set.
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO bankapi_gateway, bankapi_staff;

-- Only the owner notes a revision; only staff say who may speak, who is a customer, and on which terms.
REVOKE INSERT ON alembic_version FROM bankapi_gateway, bankapi_staff;
REVOKE INSERT ON
    dealers, terminals, certificates, customers, accounts, subscriptions, limits, card_ranges, rates, archives
    FROM bankapi_gateway;

-- What a payment moves, and how far a notice has come.
GRANT UPDATE (balance_minor) ON balances TO bankapi_gateway, bankapi_staff;
GRANT UPDATE (service_status) ON accounts TO bankapi_gateway, bankapi_staff;
GRANT UPDATE (count, amount_minor) ON day_totals TO bankapi_gateway, bankapi_staff;
GRANT UPDATE ON notices, notice_parts, notice_receipts, notice_preferences TO bankapi_gateway, bankapi_staff;
-- PostgreSQL lets a row be locked by those who may update it. Ids are referred to, so they stay as they are.
GRANT UPDATE (id) ON dealers, registers TO bankapi_gateway, bankapi_staff;

GRANT UPDATE ON dealers, terminals, limits TO bankapi_staff;
GRANT UPDATE (valid_until, revoked_at) ON certificates TO bankapi_staff;
GRANT UPDATE (credit_limit_minor) ON accounts TO bankapi_staff;
GRANT UPDATE, DELETE ON card_ranges TO bankapi_staff;
-- `bankapi audit archive`: the trigger lets bodies that are in an archive become NULL, and nothing else.
GRANT UPDATE (request, answer) ON exchanges TO bankapi_staff;
