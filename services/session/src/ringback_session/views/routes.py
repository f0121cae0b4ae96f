"""The responses of one connection, by the model's ids, in the order in which it announced them."""

from __future__ import annotations

from typing import Final

from ringback_session.views.route import Route

__all__ = ["Routes"]

ROUTES_KEPT: Final = 64


class Routes(dict[str, Route]):
    """The newest of them; one that has to go counts as over."""

    def keep(self, route: Route) -> None:
        self[route.response_id] = route
        while len(self) > ROUTES_KEPT:
            self.pop(next(iter(self))).closed = True

    def active(self) -> Route | None:
        """The response of the default conversation that the client sees as active."""
        return next((route for route in reversed(self.values()) if route.active), None)

    def aside(self, response_id: str | None) -> Route | None:
        """A response beside the conversation that the client sees under way."""
        route = self.get(response_id or "")
        return route if route is not None and route.beside else None

    def by_own_id(self, own_id: str) -> Route | None:
        return next((route for route in self.values() if route.own_id == own_id), None)

    def answered(self, request_key: str) -> bool:
        """Has the client seen a response to this request of its own?"""
        return any(route.visible and route.request_key == request_key for route in self.values())

    def telephone(self, response_id: str | None) -> bool:
        """Is its audio G.711?"""
        route = self.get(response_id or "")
        return route is not None and route.telephone
