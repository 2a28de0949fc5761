"""Interop: a standard gRPC client (grpcio) drives a running server. usage: python_test.py HOST:PORT

The server must have the catalog "shop" and the definition "wanted-next" with a model (tests/integration/interop_test.c
makes them). Exits with 0 when every check held, prints one line a check.
"""
import sys

import grpc

import kindred_client

TIMEOUT = 120  # seconds, for answers that come: only a failure takes it
checks = 0


def check(what, held):
    global checks
    checks += 1
    print(("ok   " if held else "FAIL ") + what, flush=True)
    if not held:
        sys.exit(1)


def fails(code, call):
    try:
        call()
    except grpc.RpcError as error:
        return error.code() == code and error.details() != ""
    return False


def main():
    pool, m = kindred_client.load("kindred/v1/recommend.proto", "kindred/v1/events.proto", "kindred/v1/status.proto",
                                  "kindred/v1/definitions.proto", "grpc/health/v1/health.proto")
    channel = grpc.insecure_channel(sys.argv[1])
    service = lambda name: kindred_client.Service(channel, pool, m, name)
    recommend, events = service("kindred.v1.RecommendationService"), service("kindred.v1.EventService")
    health = service("grpc.health.v1.Health")
    Request, Event = m["kindred.v1.RecommendRequest"], m["kindred.v1.Event"]

    check("health says SERVING", health.Check(m["grpc.health.v1.HealthCheckRequest"](), timeout=TIMEOUT).status == 1)
    check("health of an unknown service is NOT_FOUND", fails(
        grpc.StatusCode.NOT_FOUND, lambda: health.Check(m["grpc.health.v1.HealthCheckRequest"](service="no"), timeout=TIMEOUT)))

    before = recommend.Recommend(Request(user_id="interop-1", definition="wanted-next", count=5), timeout=TIMEOUT)
    check("a user never seen gets five popular items", len(before.items) == 5 and all(i.source in (4, 5) for i in before.items))

    item = before.items[0].item_id
    batch = m["kindred.v1.IngestEventsRequest"](catalog="shop", events=[
        Event(user_id="interop-1", item_id=item, type="Viewed", event_id="a"),
        Event(user_id="interop-1", item_id=item, type="Viewed", event_id="a"),
        Event(user_id="", item_id=item, type="Viewed"),
        Event(user_id="interop-2", item_id=item, type="Viewed", event_id="a")])
    answer = events.IngestEvents(batch, timeout=TIMEOUT)
    check("outcomes are accepted, duplicate, refused, accepted, in order", list(answer.outcomes) == [1, 2, 4, 1])
    check("the refusal names the event and the field",
          len(answer.refusals) == 1 and answer.refusals[0].index == 2 and "user_id" in answer.refusals[0].reason)

    after = recommend.Recommend(Request(user_id="interop-1", definition="wanted-next", count=5, with_names=True), timeout=TIMEOUT)
    check("the next call knows the event: personal items with names",
          any(i.source == 1 for i in after.items) and all(i.name for i in after.items))

    many = m["kindred.v1.RecommendManyRequest"]
    users = [f"interop-{i}" for i in range(1000)]
    asked = (many(user_ids=users[i:i + 100], definition="wanted-next", count=3) for i in range(0, 1000, 100))
    results = [r for response in recommend.RecommendMany(asked, timeout=TIMEOUT) for r in response.results]
    check("a thousand users in a stream come back once each", sorted(r.user_id for r in results) == sorted(users))
    check("each with three items", all(len(r.items) == 3 and r.error_code == 0 for r in results))

    audience = m["kindred.v1.RecommendAudienceRequest"]
    whole = list(recommend.RecommendAudience(audience(definition="wanted-next", count=3), timeout=TIMEOUT))
    everybody = [r.user_id for response in whole for r in response.results]
    check("an audience has every user with a history once", len(everybody) == len(set(everybody)) and "interop-1" in everybody)
    rest = recommend.RecommendAudience(audience(definition="wanted-next", count=3, cursor=whole[0].cursor), timeout=TIMEOUT)
    check("and goes on behind a cursor", sorted(r.user_id for response in rest for r in response.results) ==
          sorted(r.user_id for response in whole[1:] for r in response.results))

    stream = m["kindred.v1.IngestEventStreamRequest"]
    batches = (stream(catalog="shop", batch=b, events=[
        Event(user_id=f"stream-{u}", item_id=item, type="Viewed", event_id=f"{b}") for u in range(50)]) for b in range(1, 21))
    acks = list(events.IngestEventStream(batches, timeout=TIMEOUT))
    check("twenty batches are acked in order", [a.batch for a in acks] == list(range(1, 21)))
    check("a thousand events accepted", sum(o == 1 for a in acks for o in a.outcomes) == 1000)

    history = events.ListUserEvents(m["kindred.v1.ListUserEventsRequest"](user_id="stream-7"), timeout=TIMEOUT)
    check("the history lists them with item ids", history.total_size == 20 and history.events[0].item_id == item)

    check("no such definition is NOT_FOUND", fails(
        grpc.StatusCode.NOT_FOUND, lambda: recommend.Recommend(Request(user_id="x", definition="none"), timeout=TIMEOUT)))
    check("no user is INVALID_ARGUMENT", fails(
        grpc.StatusCode.INVALID_ARGUMENT, lambda: recommend.Recommend(Request(definition="wanted-next"), timeout=TIMEOUT)))
    explained = recommend.Recommend(Request(user_id="interop-1", definition="wanted-next", explain=True), timeout=TIMEOUT)
    check("the parts of a score add up to it",
          explained.items and all(sum(p.amount for p in i.parts) == i.score for i in explained.items))
    check("a filter that does not compile is INVALID_ARGUMENT", fails(grpc.StatusCode.INVALID_ARGUMENT, lambda: recommend.Recommend(
        Request(user_id="x", definition="wanted-next", filter="no such"), timeout=TIMEOUT)))
    unknown = channel.unary_unary("/kindred.v1.NoService/NoMethod")
    check("an unknown method is UNIMPLEMENTED", fails(grpc.StatusCode.UNIMPLEMENTED, lambda: unknown(b"", timeout=TIMEOUT)))
    broken = channel.unary_unary("/kindred.v1.RecommendationService/Recommend")
    check("bytes that are no protobuf are INVALID_ARGUMENT",
          fails(grpc.StatusCode.INVALID_ARGUMENT, lambda: broken(b"\xff\xff\xff", timeout=TIMEOUT)))
    print(f"{checks} passed, 0 failed")


main()
